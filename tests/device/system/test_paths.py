"""Which state folders a power cut empties."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgefer.errors import SettingsError
from edgefer_device.sinks.opening import open_sink
from edgefer_device.system.paths import is_volatile, state_folder

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
            "overlayroot=device:dev=/dev/sda1 rw",
            False,
        ),
        ([OVERLAY.format(at="/", upper="/var/lib/docker/1/diff")], "rw", False),
        # raspi-config: hidden since the boot, but named.
        ([OVERLAY.format(at="/", upper="/overlay/upper")], "boot=overlay rw", True),
        ([OVERLAY.format(at="/", upper="/run/x/upper")], "rw systemd.volatile=overlay", True),
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


@pytest.mark.parametrize("state", ["~nosuchuser/x", "~nosuchuser"])
def test_no_folder_of_a_user_who_is_not_there_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=rf"{state}: no such home folder; write the whole path"):
        state_folder(state)
    with pytest.raises(SettingsError, match=r"~nosuchuser/x\.jsonl: no such home folder"):
        open_sink("jsonl:~nosuchuser/x.jsonl")
    with pytest.raises(SettingsError, match=r"no such home folder; write the whole path, or \./"):
        open_sink(f"jsonl:~nosuchuser/{'x' * 3000}")
    assert state_folder(f"./{state}") == Path(state)


READ_ONLY = """
set -eu
mount -t tmpfs memory "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay root -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
state=$1/root/state
shift 2
"$@" run &
trap 'kill $! 2>/dev/null || true' EXIT
until [ -e "$state/control.sock" ]; do kill -0 $!; sleep 0.1; done
until "$@" status; do kill -0 $!; sleep 0.1; done
"$@" pause
kill $!
wait $!
"$@" doctor || true
"""
"""A root as `overlayroot` makes it of a card, and a daemon, `status` and `doctor` on it."""


def test_on_a_read_only_root_log_status_pause_and_doctor_tell_that_no_pause_survives(
    tmp_path: Path,
) -> None:
    assert not is_volatile(tmp_path)
    memory, card, config = (tmp_path / name for name in ("memory", "card", "edgefer.toml"))
    memory.mkdir()
    card.mkdir()
    state = memory / "root" / "state"
    config.write_text(f'camera = "demo:"\nstate = "{state}"\nsinks = ["console:"]\n')
    program = tmp_path / "edgefer"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -m edgefer.cli $1 --config {config}\n")
    program.chmod(0o755)
    alone = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]
    words = [*alone, "sh", "-c", READ_ONLY, "sh", str(memory), str(card), str(program)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=300)
    lost = "a pause, the history and a calibration will not outlive a power cut"
    log = f"edgefer: warning: {state} is in memory: {lost}"
    assert done.stderr.count(f"{log}; mount a disk there\n") == 2  # at the start, and by the pause
    told = "".join(done.stdout.split())  # a table's lines are wrapped
    assert told.count(lost.replace(" ", "")) == 2
