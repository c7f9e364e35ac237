"""What one run leaves: records, folders, sweeps, costs, and what the terminal says."""

import os
import sys

if os.name == "nt":  # file locks, signals and forked processes are those of Linux and macOS
    print(
        "error: the scripts run on Linux and macOS, on Windows inside WSL (wsl --install); the "
        "library, import upzoo, runs on Windows too",
        file=sys.stderr,
    )
    sys.exit(2)
