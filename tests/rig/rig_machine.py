"""A whole machine for Arm, from nothing to a mirror, and through what may befall it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mosquitto import free_port
from rig.card import dying_wheel, root
from rig.deployment import SETTINGS, abandon, begin, deploy
from rig.machine import Machine, powered

EDGEFER = "/opt/edgefer/current/bin/edgefer"
WELL = f"systemctl -q is-active edgefer && {EDGEFER} status"
STATE = "mosquitto_sub -W 60 -C 1 -u edgefer -P $(cat /etc/edgefer/mqtt-password) -t edgefer/state"
# An emulated daemon needs a minute to start.
PATIENT = ("--deadline", "400", "--watch", "30")
CAMERA = SETTINGS.replace("demo:", "v4l2:/dev/video0")
CUTS = int(os.environ.get("RIG_CUTS", "20"))

pytestmark = pytest.mark.timeout(6 * 3600)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with powered(root("arm64"), tmp_path_factory.mktemp("machine")) as started:
        yield started


@contextmanager
def forwarded(machine: Machine, port: int) -> Iterator[int]:
    """Lead a loopback port here to one there, through SSH."""
    here = free_port()
    command = ["ssh", *machine.options, "-N", "-L", f"{here}:127.0.0.1:{port}", "root@127.0.0.1"]
    tunnel = subprocess.Popen(command)
    try:
        yield here
    finally:
        tunnel.kill()
        tunnel.wait()


def release(machine: Machine) -> str:
    """The one that runs."""
    return Path(machine.check("readlink /opt/edgefer/current").strip()).name


def fetch(address: str) -> str:
    """Return a page, waiting until the tunnel stands."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(address, timeout=60) as page:
                return str(page.read().decode())
        except ConnectionRefusedError:
            time.sleep(0.2)
    raise AssertionError(f"{address} does not answer")


def test_it_is_an_arm(machine: Machine) -> None:
    assert machine.check("uname -m").strip() == "aarch64"
    assert "vivid" in machine.check("cat /sys/class/video4linux/video0/name")


def test_from_nothing_to_a_mood_and_the_page(machine: Machine) -> None:
    began = time.monotonic()
    done = deploy(machine, *PATIENT, seconds=7200)
    print(f"\nfirst deploy: {time.monotonic() - began:.0f} s\n{done.out}")
    assert done.status == 0, done.out
    machine.wait(f"""{STATE} | grep -q '"mood":"happy"'""", 300)
    page = json.loads(machine.check(f"{EDGEFER} status --json"))["page"]
    port, _, rest = page.rpartition(":")[2].partition("/")
    with forwarded(machine, int(port)) as here:
        assert "<title>" in fetch(f"http://127.0.0.1:{here}/{rest}")


def test_a_second_deploy_changes_nothing(machine: Machine) -> None:
    began = time.monotonic()
    done = deploy(machine, *PATIENT)
    print(f"\nsecond deploy: {time.monotonic() - began:.0f} s\n{done.out}")
    assert done.status == 0, done.out
    assert "unchanged" in done.out


def test_it_opens_a_camera_of_the_kernels(machine: Machine) -> None:
    done = deploy(machine, *PATIENT, settings=CAMERA)
    print(done.out)
    assert done.status == 0, done.out
    told = json.loads(machine.check(f"{EDGEFER} status --json"))
    assert (told["camera"], told["camera_open"]) == ("v4l2:/dev/video0", True)
    assert told["analysed"] > 0


def test_a_camera_that_is_not_there_is_undone(machine: Machine) -> None:
    before = release(machine)
    wrong = SETTINGS.replace("demo:", "v4l2:/dev/video9")
    done = deploy(machine, "--deadline", "120", "--watch", "30", settings=wrong)
    print(done.out)
    assert done.status == 1
    machine.wait(WELL, 400)
    assert release(machine) == before
    assert "video0" in machine.check("cat /etc/edgefer/edgefer.toml")


def test_it_is_back_after_a_reboot(machine: Machine) -> None:
    print(f"\nreboot: {machine.reboot():.0f} s")
    machine.wait(WELL, 600)


def test_a_release_that_dies_later_is_undone(machine: Machine, tmp_path: Path) -> None:
    before = release(machine)
    wheel = dying_wheel(tmp_path, 180)
    words = ("--deadline", "400", "--watch", "200", "--wheel", str(wheel))
    done = deploy(machine, *words, settings=CAMERA)
    print(done.out)
    assert done.status == 1
    assert "rolled back" in done.out
    machine.wait(WELL, 400)
    assert release(machine) == before
    outcome = json.loads(machine.check("cat /opt/edgefer/outcome.json"))
    print(f"\nundone in {outcome['undone_in']} s")


def test_every_cut_leaves_a_release_that_works(machine: Machine) -> None:
    """The power goes at a random instant of a deploy of another model, made from nothing."""
    chance = random.Random(os.environ.get("RIG_SEED", "edgefer"))
    began = time.monotonic()
    assert deploy(machine, *PATIENT, "--model", "small-ferplus", settings=CAMERA).status == 0
    whole = time.monotonic() - began
    print(f"\na whole deploy: {whole:.0f} s")
    for number in range(1, CUTS + 1):
        model = "small" if number % 2 else "small-ferplus"
        now = release(machine)
        machine.check(
            f"cd /opt/edgefer/releases; for one in *; do [ $one = {now} ] || rm -r $one; done"
        )
        deployment = begin(machine, *PATIENT, "--model", model, settings=CAMERA)
        instant = chance.uniform(0, whole)
        time.sleep(instant)
        machine.cut()
        abandon(deployment)
        booted = machine.start()
        well = machine.wait(f"{WELL} && test ! -e /opt/edgefer/undo/undo.json", 900)
        print(
            f"cut {number}: after {instant:.0f} s; booted in {booted:.0f} s, well "
            f"{well:.0f} s later, {release(machine)} runs"
        )
