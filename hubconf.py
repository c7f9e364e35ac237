"""Entry points of torch.hub: nets by architecture and operator, trained or not.

    net = torch.hub.load(repo, "fcn8s", upsample="bilinear_init", pretrained=True)

`repo` is this project on GitHub, or with `source="local"` the folder of a copy. There is one entry
for each name of `upzoo.list_architectures()`, with the arguments of `upzoo.create`.
"""

import functools
import inspect

from upzoo import architectures

dependencies = ["torch", "safetensors"]


def _entry(arch: str) -> functools.partial:
    entry = functools.partial(architectures.create, arch)
    cls, upsample, _ = architectures.ARCHITECTURES[arch]
    entry.__doc__ = (
        f"{arch}: {inspect.getdoc(cls)}\n\n{inspect.getdoc(architectures.create)}\n\n"
        f"The operator is {upsample!r} where none is named."
    )
    return entry


globals().update({arch: _entry(arch) for arch in architectures.list_architectures()})
