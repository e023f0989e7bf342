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

from edgefer_device.deploy import artifacts
from rig.card import root
from rig.container import Device, booted
from rig.deployment import WELL, abandon, begin, deploy, forget, release
from rig.image import make_disk

CUTS = int(os.environ.get("RIG_CUTS", "3"))
WATCH = ("--watch", "5")
MODELS = ("small", "tiny")


@pytest.mark.timeout(1200 + 240 * CUTS)
def test_every_boot_has_a_release_that_works(tmp_path: Path) -> None:
    system = root("amd64")
    disk = make_disk(system, [], tmp_path)
    wheel = ("--wheel", str(artifacts.own_wheel(None, tmp_path)))
    chance = random.Random(os.environ.get("RIG_SEED", "edgefer"))
    with booted(system, disk=disk) as device:
        first = deployed(device, *wheel, "--model", MODELS[0])
        began = time.monotonic()
        second = deployed(device, *wheel, "--model", MODELS[1])
        whole = time.monotonic() - began
    assert first != second
    print(f"\nan update takes {whole:.0f} s")
    for number in range(1, CUTS + 1):
        with booted(system, disk=disk) as device:
            running = found_well(device, {first, second})
            forget(device, running)
            update = begin(device, *WATCH, *wheel, "--model", MODELS[running == first])
            instant = chance.uniform(0, whole)
            time.sleep(instant)
            device.cut()
            abandon(update)
            print(f"cut {number}: {instant:.1f} s into an update of {running}", flush=True)
    with booted(system, disk=disk) as device:
        found_well(device, {first, second})


def deployed(device: Device, *options: str) -> str:
    """Deploy to the end; return the release that runs then."""
    done = deploy(device, *WATCH, *options)
    assert done.status == 0, done.out
    return release(device)


def found_well(device: Device, known: set[str]) -> str:
    """Wait until what has booted is well; return the release that runs, one of those known."""
    took = device.wait(WELL)
    running = release(device)
    assert running in known
    undone = "interrupted" in device.check("tail -n 1 /opt/edgefer/history.jsonl")
    print(f"well {took:.1f} s after the boot{', by undoing' if undone else ''}", flush=True)
    return running
