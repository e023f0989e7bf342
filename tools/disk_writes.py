"""Print how much a day the daemon writes to the disk, by the calls that it makes (strace).

    python tools/disk_writes.py [SECONDS]

`demo:`, the mirror page and a history; each write counts as whole blocks of 4 KiB, what is written
in the first fifth of the time does not: it is the start.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BLOCK = 4096
CALL = re.compile(r"\d+ +([\d.]+) \w+\(\d+<(/[^>]*)>.* = (\d+)$")


def bytes_a_day(seconds: float, folder: Path) -> float:
    """Run the daemon for so long, with its state in a folder; return what it would write a day."""
    settings = f'camera = "demo:"\nstate = "{folder}/state"\nsinks = ["mirror:127.0.0.1:0"]\n'
    (folder / "edgefer.toml").write_text(f"{settings}[history]\nkeep_days = 90\n")
    trace = folder / "trace"
    words = ["strace", "-f", "-y", "-ttt", "-qq", "--seccomp-bpf", "-o", str(trace)]
    words += ["-e", "trace=write,pwrite64,writev,pwritev", sys.executable, "-m", "edgefer.cli"]
    words += ["run", "--config", str(folder / "edgefer.toml"), "--seconds", str(seconds)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(words, env=environment, check=True, capture_output=True)
    calls = [found.groups() for found in map(CALL.match, trace.read_text().splitlines()) if found]
    times = [float(time) for time, _, _ in calls]
    begun = min(times, default=0.0) + seconds / 5
    written = [
        -(-int(count) // BLOCK) * BLOCK
        for time, path, count in calls
        if float(time) > begun and not path.startswith(("/dev/", "/proc/"))
    ]
    return sum(written) / (seconds * 4 / 5) * 86400


if __name__ == "__main__":
    given = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    with tempfile.TemporaryDirectory() as place:
        print(f"{bytes_a_day(given, Path(place)) / 1e6:.1f} MB a day")
