"""Where the scripts run."""

import subprocess
import sys

from tests.conftest import ROOT


def test_windows_is_refused_in_one_line():
    code = "import os; os.name = 'nt'; import runs.folders"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: the scripts run on Linux and macOS, on Windows inside")
    assert len(ended.stderr.splitlines()) == 1
