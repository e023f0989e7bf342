"""The power goes at a random instant of a deploy; whatever boots then has a release that works.

On a disk of its own, whose file system is shut down without writing out its log: what a boot
finds is what had reached the disk. `make rig` cuts an emulated machine's power as well
(rig_machine.py), and more often.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from rig.card import root
from rig.container import Device, booted
from rig.deployment import abandon, begin, deploy
from rig.image import make_disk

CUTS = int(os.environ.get("RIG_CUTS", "3"))
EDGEFER = "/opt/edgefer/current/bin/edgefer"
WELL = (
    f"systemctl -q is-active edgefer && {EDGEFER} status && test ! -e /opt/edgefer/undo/undo.json"
)
WATCH = ("--watch", "5")
MODELS = ("small", "small-ferplus")


def release(device: Device) -> str:
    """The one that runs, by its own word."""
    pid = device.property("edgefer.service", "MainPID")
    running = device.check(f"readlink -f /proc/{pid}/exe; tr '\\0' '\\n' </proc/{pid}/cmdline")
    assert device.check("readlink /opt/edgefer/current").strip() in running
    return Path(device.check("readlink /opt/edgefer/current").strip()).name


def forget(device: Device, name: str) -> None:
    """Remove all releases but one, so that the next is made from nothing."""
    device.check(
        f"cd /opt/edgefer/releases; for one in *; do [ $one = {name} ] || rm -r $one; done"
    )


@pytest.mark.timeout(900 + 240 * CUTS)
def test_every_boot_has_a_release_that_works(tmp_path: Path) -> None:
    system = root("amd64")
    disk = make_disk(system, [], tmp_path)
    chance = random.Random(os.environ.get("RIG_SEED", "edgefer"))
    with booted(system, disk=disk) as device:
        done = deploy(device, *WATCH, "--model", MODELS[0])
        assert done.status == 0, done.out
        before = release(device)
        began = time.monotonic()
        done = deploy(device, *WATCH, "--model", MODELS[1])
        assert done.status == 0, done.out
        whole = time.monotonic() - began
        after = release(device)
        assert after != before
    known = {before, after}
    seen = []
    for number in range(CUTS):
        with booted(system, disk=disk) as device:
            took = device.wait(WELL)
            now = release(device)
            assert now in known
            forget(device, now)
            model = MODELS[0] if now == after else MODELS[1]
            deployment = begin(device, *WATCH, "--model", model)
            instant = chance.uniform(0, whole)
            time.sleep(instant)
            device.cut()
            abandon(deployment)
            seen.append((round(instant, 1), now, round(took, 1)))
            print(f"cut {number + 1}: {instant:.1f} of {whole:.1f} s")
    with booted(system, disk=disk) as device:
        device.wait(WELL)
        assert release(device) in known
