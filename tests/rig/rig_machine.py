"""A whole machine, from nothing to a mirror, and through what may befall it."""

from __future__ import annotations

import json
import os
import random
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from edgefer_device.deploy import artifacts
from rig import deployment
from rig.card import PYTHONS, face
from rig.container import cable
from rig.deployment import EDGEFER, STATE, WELL, abandon, begin, deploy, forget, release
from rig.machine import Machine, powered
from support.broken_wheels import dying, no_model, unimportable
from support.firmware_files import Done, run
from support.mosquitto import free_port

# Of the machine's own seconds: five are minutes here.
BRIEF = ("--watch", "5")
LONGEST = 7200.0
"""Seconds that one deployment may take, or what it brought to be well."""
# The faster detector: arithmetic with fractions is the slowest in emulation.
SETTINGS = f'detector = "blazeface-short"\n{deployment.SETTINGS}'
CAMERA = SETTINGS.replace("demo:", "v4l2:/dev/video0")
BENCHES = 5
CUTS = int(os.environ.get("RIG_CUTS", "20"))

pytestmark = pytest.mark.timeout(12 * 3600)


@pytest.fixture(scope="module", params=["amd64", "arm64"])
def machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """One that is made anew, or the one that `RIG_MACHINES` keeps from run to run."""
    kept = os.environ.get("RIG_MACHINES")
    place = Path(kept).absolute() if kept else tmp_path_factory.mktemp("machines")
    with powered(request.param, place / request.param) as started:
        yield started


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return artifacts.own_wheel(None, tmp_path_factory.mktemp("wheel"))


def tried(machine: Machine, *options: object, settings: str = CAMERA) -> Done:
    """Deploy to the end; tell how it went and how long it took."""
    words = (*BRIEF, *map(str, options))
    done = deploy(machine, *words, settings=settings, seconds=LONGEST)
    print(f"\n{done.out}", flush=True)
    return done


def outcome(machine: Machine) -> dict[str, object]:
    """What the device wrote down of its last switch."""
    told: dict[str, object] = json.loads(machine.check("cat /opt/edgefer/outcome.json"))
    print(f"{told['result']} after {told['seconds']} s, undone in {told.get('undone_in')} s")
    return told


def test_it_is_what_it_was_made_for(machine: Machine) -> None:
    assert machine.check("uname -m").strip() == PYTHONS[machine.architecture].machine
    assert "vivid" in machine.check("cat /sys/class/video4linux/video0/name")


def test_from_nothing_to_a_mood_and_the_page(machine: Machine) -> None:
    done = tried(machine, settings=SETTINGS)
    assert done.status == 0, done.out
    took = machine.wait(f"""{STATE} | grep -q '"mood":"happy"'""", LONGEST)
    page = json.loads(machine.check(f"{EDGEFER} status --json"))["page"]
    port, _, rest = page.rpartition(":")[2].partition("/")
    here = free_port()
    url = f"http://127.0.0.1:{here}/{rest}"
    with cable(machine, here, int(port)), urllib.request.urlopen(url, timeout=600) as answer:
        assert "<title>" in answer.read().decode()
    print(f"its mood over MQTT {took:.0f} s later")


def test_a_second_deploy_changes_nothing(machine: Machine) -> None:
    done = tried(machine, settings=SETTINGS)
    assert done.status == 0, done.out
    assert "unchanged" in done.out


def test_it_opens_a_camera_of_the_kernels(machine: Machine) -> None:
    done = tried(machine)
    assert done.status == 0, done.out
    told = json.loads(machine.check(f"{EDGEFER} status --json"))
    assert (told["camera"], told["camera_open"]) == ("v4l2:/dev/video0", True)
    assert told["analysed"] > 0


def test_a_camera_that_is_not_there_is_refused(machine: Machine) -> None:
    before = release(machine)
    done = tried(machine, settings=CAMERA.replace("video0", "video9"))
    assert done.status == 1
    assert "camera: " in done.out
    stays(machine, before)


def test_a_wheel_that_does_not_start_is_refused(
    machine: Machine, wheel: Path, tmp_path: Path
) -> None:
    before = release(machine)
    done = tried(machine, "--wheel", unimportable(wheel, tmp_path))
    assert done.status == 1
    assert "the release does not start" in done.out
    stays(machine, before)


def test_a_model_that_is_none_is_refused(machine: Machine, tmp_path: Path) -> None:
    before = release(machine)
    done = tried(machine, "--model", no_model(tmp_path))
    assert done.status == 1
    assert "model: " in done.out
    stays(machine, before)


def test_settings_that_do_not_work_are_undone(machine: Machine) -> None:
    before = release(machine)
    done = tried(machine, "--deadline", 20, settings=CAMERA.replace("127.0.0.1/", "127.0.0.1:9/"))
    assert done.status == 1
    assert "rolled back" in done.out
    stays(machine, before)
    assert outcome(machine)["result"] == "rolled back"


def test_a_release_that_dies_a_minute_later_is_undone(
    machine: Machine, wheel: Path, tmp_path: Path
) -> None:
    before = release(machine)
    done = tried(machine, "--watch", 90, "--wheel", dying(wheel, tmp_path, 60))
    assert done.status == 1
    assert "rolled back" in done.out
    stays(machine, before)
    assert "ended while it was watched" in str(outcome(machine)["reason"])


def stays(machine: Machine, before: str) -> None:
    """The release that ran runs, with its settings, and is well."""
    machine.wait(WELL, LONGEST)
    assert release(machine) == before
    text = machine.check("cat /etc/edgefer/edgefer.toml")
    assert "v4l2:/dev/video0" in text
    assert "mqtt://127.0.0.1/edgefer" in text


def test_it_is_back_after_a_reboot(machine: Machine) -> None:
    took = machine.reboot()
    print(f"\nreboot: {took:.0f} s, well {machine.wait(WELL, LONGEST):.0f} s later")


def test_benches_agree_where_nobody_else_is(machine: Machine, tmp_path: Path) -> None:
    """The emulated clock counts instructions: what is left between runs is the bench's own."""
    if machine.architecture != "arm64":
        pytest.skip("its clock is this machine's, which has other work")
    cv2.imwrite(str(picture := tmp_path / "face.png"), face())
    sent = run("scp", *machine.options, picture, "root@127.0.0.1:/root/face.png")
    assert sent.status == 0, sent.err
    machine.check("systemctl stop edgefer mosquitto")
    runs = [timings(machine) for _ in range(BENCHES)]
    machine.check("systemctl start mosquitto edgefer")
    apart: dict[str, float] = {}
    for thing in zip(*runs, strict=True):
        medians = [one["p50"] for one in thing]
        what = thing[0]["what"]
        apart[what] = (max(medians) - min(medians)) / sorted(medians)[BENCHES // 2]
        span = f"{min(medians):.2f} to {max(medians):.2f} ms"
        print(f"\n{what}: p50 {span}, {100 * apart[what]:.1f} % apart", end="", flush=True)
    assert max(apart.values()) <= 0.05


def timings(machine: Machine) -> list[dict[str, Any]]:
    """What a bench there has timed."""
    words = "--short --camera 'images:/root/face.png?loop=1' --json /root/bench.json"
    machine.check(f"{EDGEFER} bench {words}", seconds=LONGEST)
    found: list[dict[str, Any]] = json.loads(machine.check("cat /root/bench.json"))["timings"]
    return found


def test_every_cut_leaves_a_release_that_works(machine: Machine, wheel: Path) -> None:
    """The power goes at a random instant of a deploy of another model, made from nothing."""
    chance = random.Random(os.environ.get("RIG_SEED", "edgefer"))
    words = (*BRIEF, "--wheel", str(wheel), "--model")
    machine.wait(WELL, LONGEST)
    # A machine that was kept may run what another wheel made.
    first = deployed(machine, *words, "small")
    forget(machine, first)
    began = time.monotonic()
    second = deployed(machine, *words, "tiny")
    whole = time.monotonic() - began
    print(f"\nan update takes {whole:.0f} s", flush=True)
    for number in range(1, CUTS + 1):
        running = release(machine)
        forget(machine, running)
        model = "tiny" if running == first else "small"
        update = begin(machine, *words, model, settings=CAMERA)
        instant = chance.uniform(0, whole)
        time.sleep(instant)
        machine.cut()
        abandon(update)
        booted = machine.start()
        well = machine.wait(WELL, LONGEST)
        assert release(machine) in {first, second}
        print(
            f"cut {number}: {instant:.0f} s into an update of {running}; booted in {booted:.0f} s, "
            f"well {well:.0f} s later, {release(machine)} runs",
            flush=True,
        )


def deployed(machine: Machine, *words: str) -> str:
    """Deploy to the end; return the release that runs then."""
    done = deploy(machine, *words, settings=CAMERA, seconds=LONGEST)
    assert done.status == 0, done.out
    return release(machine)
