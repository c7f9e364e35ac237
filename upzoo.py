"""UpZoo from a checkout: `upzoo` is `models/`, with `metrics/` and `audit/` in it.

An installed wheel holds the same files under the same names, and not this one.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_ROOT = Path(__file__).resolve().parent
# models/ comes first; the root adds upzoo.metrics and upzoo.audit
_spec = spec_from_file_location(
    "upzoo",
    _ROOT / "models" / "__init__.py",
    submodule_search_locations=[str(_ROOT / "models"), str(_ROOT)],
)
assert _spec is not None
assert _spec.loader is not None
sys.modules["upzoo"] = module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["upzoo"])
