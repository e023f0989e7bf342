"""A V4L2 webcam for tests: `v4l2_kernel.c` in the kernel's place, and one that is plugged in."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("v4l2_kernel.c")
USUAL = (
    "mode YUYV 640 480 30 15",
    "mode YUYV 1280 720 10",
    "mode MJPG 640 480 30",
    "mode MJPG 1280 720 30",
    "mode MJPG 1920 1080 30",
)
"""What most webcams offer: their bus has no room for large pictures that are not compressed."""


def build_kernel(folder: Path) -> Path:
    """Compile the double; skip where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("cc is not installed: apt-get install gcc libc6-dev")
    library = folder / "v4l2_kernel.so"
    words = [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", str(SOURCE), "-ldl", "-o"]
    subprocess.run([*words, str(library)], check=True)
    return library


class Webcam:
    """One node, by what is written in its file."""

    def __init__(self, library: Path, folder: Path, number: int = 0) -> None:
        self._library, self._folder = library, folder
        self.path = folder / f"video{number}"
        self._log = folder / f"video{number}.log"

    def plug(self, *lines: str, driver: str = "uvcvideo", card: str = "Some Webcam") -> None:
        """Plug it in; `lines` are as `v4l2_kernel.c` says."""
        beside = self.path.with_suffix(".part")
        beside.write_text("\n".join([f"driver {driver}", f"card {card}", *lines, ""]))
        beside.rename(self.path)

    def unplug(self) -> None:
        self.path.unlink()

    def show(self, image: Path) -> None:
        """Choose the JPEG that it sends in MJPG."""
        shutil.copy(image, self.path.with_suffix(".jpg"))

    @property
    def streamed(self) -> list[str]:
        """How it was made to stream: `YUYV 640x480 30`, once for each time."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is to see it."""
        return {
            "EDGEFER_V4L2": str(self._folder),
            "LD_PRELOAD": str(self._library),
            "PYTHONPATH": ":".join(sys.path),
        }

    def ask(self, program: str, *words: str) -> str:
        """Run a Python program that sees it; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, str(self.path), *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
