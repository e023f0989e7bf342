"""Print how much a day a mirror writes to the disk: the daemon, its log, the kiosk's browser.

    python tools/disk_writes.py [SECONDS]

`demo:`, the mirror page and a history. The daemon's writes are those calls that it makes (strace),
each as whole blocks of 4 KiB; the browser's, with its profile in memory as the kiosk has it, those
that the kernel sends to a disk (`write_bytes` in proc(5)). What is written in the first fifth of
the time counts for nothing: it is the start.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BLOCK = 4096
DAY = 86400
CALL = re.compile(r"\d+ +([\d.]+) \w+\((\d+)<(/[^>]*|pipe:[^>]*)>.* = (\d+)$")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync")
MEMORY = Path("/dev/shm")


def daemon(seconds: float, folder: Path, port: int) -> tuple[float, float]:
    """Run the daemon for so long; return what it would write a day, to files and to its log."""
    settings = f'camera = "demo:"\nstate = "{folder}/state"\nsinks = ["mirror:127.0.0.1:{port}"]\n'
    (folder / "edgefer.toml").write_text(f"{settings}[history]\nkeep_days = 90\n")
    trace = folder / "trace"
    words = ["strace", "-f", "-y", "-ttt", "-qq", "--seccomp-bpf", "-o", str(trace)]
    words += ["-e", "trace=write,pwrite64,writev,pwritev", sys.executable, "-m", "edgefer.cli"]
    words += ["run", "--config", str(folder / "edgefer.toml"), "--seconds", str(seconds)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(words, env=environment, check=True, capture_output=True)
    calls = [found.groups() for found in map(CALL.match, trace.read_text().splitlines()) if found]
    begun = min((float(at) for at, *_ in calls), default=0.0) + seconds / 5
    late = [
        (int(number), path, int(count)) for at, number, path, count in calls if float(at) > begun
    ]
    paths = [(path, count) for _, path, count in late if path.startswith("/")]
    blocks = [-(-count // BLOCK) for path, count in paths if not path.startswith(("/dev", "/proc"))]
    log = sum(count for number, _, count in late if number in (1, 2))
    scale = DAY / (seconds * 4 / 5)
    return sum(blocks) * BLOCK * scale, log * scale


class Browser:
    """Chromium on a page, its profile in memory."""

    def __init__(self, url: str, profile: Path) -> None:
        words = ["chromium", *FLAGS, f"--user-data-dir={profile}", url]
        environment = {**os.environ, "HOME": str(profile)}
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(words, env=environment, stdout=quiet, stderr=quiet)

    def written(self) -> dict[int, int]:
        """Return the bytes that each of its processes has sent to a disk."""
        pids, found = [self._process.pid], {}
        for pid in pids:
            with contextlib.suppress(OSError):
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    pids += map(int, (thread / "children").read_text().split())
                text = Path(f"/proc/{pid}/io").read_text()
                found[pid] = int(text.partition("\nwrite_bytes: ")[2].split()[0])
        return found

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


@contextlib.contextmanager
def browsing(url: str) -> Iterator[Browser]:
    """Show a page while this is entered."""
    with tempfile.TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True) as profile:
        browser = Browser(url, Path(profile))
        try:
            yield browser
        finally:
            browser.close()


def browser_bytes(seconds: float, url: str) -> float:
    """Show a page for so long; return what the browser would write a day."""
    with browsing(url) as browser:
        time.sleep(seconds / 5)
        before = browser.written()
        time.sleep(seconds * 4 / 5)
        after = browser.written()
    if not after:
        raise SystemExit("the browser ended")
    written = sum(count - before.get(pid, 0) for pid, count in after.items())
    return written * DAY / (seconds * 4 / 5)


def main() -> None:
    """Measure both at once and print them."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    if shutil.which("chromium") is None:
        raise SystemExit("chromium is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor() as pool:
        running = pool.submit(daemon, seconds + 60, Path(place), port)
        time.sleep(30)  # until the page is served
        shown = browser_bytes(seconds, f"http://127.0.0.1:{port}/")
        files, log = running.result()
    print(f"daemon {files / 1e6:.1f} MB a day, its log {log / 1e6:.2f} MB a day")
    print(f"browser {shown / 1e6:.1f} MB a day")


if __name__ == "__main__":
    main()
