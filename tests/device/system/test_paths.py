"""Which state folders a power cut empties."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgefer_device.system.paths import is_volatile

DISK = "1 0 179:2 / {at} rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw"
MEMORY = "2 1 0:31 / {at} rw shared:2 - tmpfs tmpfs rw,mode=755"
OVERLAY = (
    "3 1 0:32 / {at} rw - overlay overlay rw,lowerdir=/media/root-ro,upperdir={upper},workdir=/w"
)


def proc(folder: Path, *mounts: str, kernel: str = "root=PARTUUID=1 rw") -> Path:
    """A /proc with mounts and the kernel's command line."""
    (folder / "self").mkdir()
    (folder / "self" / "mountinfo").write_text("\n".join(mounts))
    (folder / "cmdline").write_text(f"{kernel}\n")
    return folder


@pytest.mark.parametrize(
    ("mounts", "kernel", "volatile"),
    [
        ([DISK.format(at="/")], "rw", False),
        ([DISK.format(at="/"), MEMORY.format(at="/var/lib")], "rw", True),
        # overlayroot: the upper folder lies in a tmpfs that can be seen.
        (
            [
                OVERLAY.format(at="/", upper="/media/root-rw/overlay"),
                MEMORY.format(at="/media/root-rw"),
            ],
            "rw",
            True,
        ),
        # On a disk of its own, as overlayroot can too, and a container's.
        (
            [
                OVERLAY.format(at="/", upper="/media/root-rw/overlay"),
                DISK.format(at="/media/root-rw"),
            ],
            "rw",
            False,
        ),
        ([OVERLAY.format(at="/", upper="/var/lib/docker/1/diff")], "rw", False),
        # raspi-config: hidden since the boot, but named.
        ([OVERLAY.format(at="/", upper="/overlay/upper")], "boot=overlay rw", True),
        # A read-only root with a disk for the state.
        (
            [OVERLAY.format(at="/", upper="/overlay/upper"), DISK.format(at="/var/lib/private")],
            "boot=overlay rw",
            False,
        ),
    ],
)
def test_an_overlay_in_memory_is_told_from_a_disk(
    tmp_path: Path, mounts: list[str], kernel: str, volatile: bool
) -> None:
    place = Path("/var/lib/private/edgefer")
    assert is_volatile(place, proc(tmp_path, *mounts, kernel=kernel)) == volatile


def test_the_daemon_says_at_its_start_that_a_pause_cannot_survive(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not is_volatile(memory):
        pytest.skip("/dev/shm is no tmpfs here")
    assert not is_volatile(tmp_path)
    state = memory / f"edgefer-{os.getpid()}"
    config = tmp_path / "edgefer.toml"
    config.write_text(f'camera = "demo:"\nstate = "{state}"\nsinks = ["console:"]\n')
    words = ["-m", "edgefer.cli", "run", "--config", str(config), "--frames", "1"]
    try:
        done = subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True)
    finally:
        shutil.rmtree(state, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    assert f"{state} is in memory: a pause will not outlive a power cut" in done.stderr
