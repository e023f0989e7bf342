"""What the firmware of a Raspberry Pi tells, by the program that asks it."""

from __future__ import annotations

import shutil
import subprocess

PROGRAM = "vcgencmd"
SECONDS = 2.0


def vcgencmd(what: str) -> str:
    """Return the answer to `get_throttled`, `pmic_read_adc`...; nothing where there is none."""
    if shutil.which(PROGRAM) is None:
        return ""
    try:
        done = subprocess.run(
            [PROGRAM, what], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
