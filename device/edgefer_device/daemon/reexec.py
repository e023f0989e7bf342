"""Restarting the daemon in place, under the same process number."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def reexec() -> NoReturn:
    """Replace this process with a fresh one of the same command line; the PID stays, so that
    a service manager sees no end and a daemon without one comes back too."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
