"""Ten devices by one inventory: in waves from nothing, again, a bad update, a good one, and back.

    make rig PYTEST="-k rig_fleet"        # RIG_HOSTS=3 boots fewer

Each is a container of its own with half a gigabyte in memory. Their settings, their waves and how
they are come from the inventory alone, as somebody would type it; each leads a port of its own
loopback through SSH to one Mosquitto here, which knows all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edgefer.settings import read_toml
from edgefer_device.deploy import artifacts
from rig.card import root
from rig.container import Device, booted, tied
from rig.deployment import WELL, edgefer, release
from rig.reach import Reach
from rig.root import CACHE
from support.broken_wheels import unimportable
from support.firmware_files import Done
from support.mosquitto import Mosquitto

HOSTS = int(os.environ.get("RIG_HOSTS", "10"))
WAVE, PAUSE = 3, 5
DAY = 24 * 3600
LONGEST = 3600.0
"""Seconds that a deployment to all of them may take."""
LANGUAGES = {"hall": "de", "lab": "es"}
"""Of the pages of each group."""
BROKER = 1884
"""Where a device finds the broker, on its own loopback: 1883 is its own Mosquitto's."""
TRACES = (
    "cat /opt/edgefer/history.jsonl; ls /opt/edgefer/releases; systemctl show -p MainPID edgefer; "
    "stat -c '%n %Y' /etc/edgefer/*"
)
"""What every switch, each release that is made and each setting leaves something in."""

pytestmark = pytest.mark.timeout(2 * 3600)


@dataclass(frozen=True)
class Fleet:
    """A laptop that knows several devices by names of its ~/.ssh/config."""

    home: Path
    devices: Mapping[str, Device]
    broker: Mosquitto
    wheel: Path

    @property
    def inventory(self) -> Path:
        """The file that names them."""
        return self.home / "fleet.toml"

    @property
    def groups(self) -> dict[str, list[str]]:
        """The names of each group."""
        names, half = list(self.devices), len(self.devices) // 2
        return {"hall": names[:half], "lab": names[half:]}

    @property
    def waves(self) -> list[list[str]]:
        """The names of each wave."""
        names = list(self.devices)
        return [names[start : start + WAVE] for start in range(0, len(names), WAVE)]

    def edgefer(self, *words: object) -> Done:
        """Run a verb for all of the inventory as a person would."""
        return edgefer(self.home, *words, "--inventory", self.inventory, seconds=LONGEST)

    def deploy(self, *words: object) -> Done:
        """Deploy to all of them, and tell how it went and how long it took."""
        began = time.monotonic()
        wheel = () if "--wheel" in words else ("--wheel", self.wheel)
        wheels = ("--wheels", CACHE / "wheels")
        done = self.edgefer("deploy", "--offline", "--watch", 5, *wheels, *wheel, *words)
        print(f"\n{done.out}all of it: {time.monotonic() - began:.0f} s", flush=True)
        return done

    def status(self, *words: object) -> dict[str, dict[str, Any]]:
        """What `fleet status` says of each, which has to be well."""
        return told(self.edgefer("fleet", "status", "--json", *words))

    def status_by_broker(self) -> dict[str, dict[str, Any]]:
        """What the broker keeps of each, which has to be well."""
        address = f"mqtt://{self.broker.host}:{self.broker.port}/fleet"
        return told(edgefer(self.home, "fleet", "status", "--broker", address, "--json"))

    def traces(self) -> dict[str, str]:
        """What was ever done to each of them."""
        return {name: device.check(TRACES) for name, device in self.devices.items()}

    def releases(self) -> dict[str, str]:
        """The release that each runs."""
        return {name: release(device) for name, device in self.devices.items()}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    home = tmp_path_factory.mktemp("laptop")
    wheel = artifacts.own_wheel(None, tmp_path_factory.mktemp("wheel"))
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Mosquitto(tmp_path_factory.mktemp("broker")).running())
        devices: dict[str, Device] = {}
        for number in range(HOSTS):
            device = stack.enter_context(booted(root("amd64")))
            stack.enter_context(led_to(broker, device))
            devices[f"mirror-{number}"] = device
        fleet = Fleet(home, devices, broker, wheel)
        introduce(fleet)
        fleet.inventory.write_text(inventory(fleet))
        yield fleet


@contextlib.contextmanager
def led_to(broker: Mosquitto, device: Reach) -> Iterator[None]:
    """Let a port of a device's loopback lead to a broker here, through SSH."""
    way = f"127.0.0.1:{BROKER}:{broker.host}:{broker.port}"
    with tied(["ssh", *device.options, "-N", "-R", way, "root@127.0.0.1"], subprocess.DEVNULL):
        device.wait(f"ss -ltn | grep -q 127.0.0.1:{BROKER}")
        yield


def introduce(fleet: Fleet) -> None:
    """Write a home's ~/.ssh, which knows each device by its name."""
    ssh = fleet.home / ".ssh"
    ssh.mkdir()
    config, known = "", ""
    for name, device in fleet.devices.items():
        config += (
            f"Host {name}\n  HostName 127.0.0.1\n  Port {device.port}\n  User pi\n"
            f"  IdentityFile {device.key}\n"
        )
        known += device.known_hosts.read_text()
    (ssh / "config").write_text(config)
    (ssh / "known_hosts").write_text(known)


def inventory(fleet: Fleet) -> str:
    """Return an inventory of two groups; each host has a name and a topic of its own."""
    # One frame a second: what they see they show to nobody, and all share this machine.
    text = (
        f'wave = {WAVE}\npause = {PAUSE}\n\n[defaults]\ntarget = "debian"\n'
        'settings.camera = "demo:"\nsettings.frame_rate = { idle = 1.0, active = 1.0 }\n'
    )
    for group, names in fleet.groups.items():
        hosts = f"hosts = {json.dumps(names)}\n"
        text += f'\n[groups.{group}]\n{hosts}settings.mirror.language = "{LANGUAGES[group]}"\n'
    for name in fleet.devices:
        sinks = json.dumps(["mirror:", f"mqtt://127.0.0.1:{BROKER}/fleet/{name}"])
        text += f'\n[hosts.{name}]\nsettings.mirror.name = "{name}"\nsettings.sinks = {sinks}\n'
    return text


def told(done: Done) -> dict[str, dict[str, Any]]:
    """What was said of each device, by its name; all have to be well."""
    found = {one["device"]: one for one in map(json.loads, done.out.splitlines())}
    ill = [one for one in found.values() if not one["ok"]]
    assert (done.status, ill) == (0, []), done.err
    return found


def outcomes(done: Done) -> dict[str, str]:
    """How each host came out, by the summary."""
    return dict(re.findall(r"^(\S+) +(\w+(?: \w+)?)  ", done.out, re.MULTILINE))


def moment(log: Path, host: str, text: str) -> int:
    """The second of the day at which a log first says a thing of a host."""
    for line in log.read_text().splitlines():
        clock, its, said = line.split(maxsplit=2)
        if its == f"{host}:" and said.startswith(text):
            hours, minutes, seconds = map(int, clock.split(":"))
            return 3600 * hours + 60 * minutes + seconds
    raise AssertionError(f"{log} does not say of {host}: {text}")


def require_settings(fleet: Fleet) -> None:
    """Every device has the settings of its group, its own, and those of all."""
    for group, names in fleet.groups.items():
        for name in names:
            settings = read_toml(fleet.devices[name].files / "etc/edgefer/edgefer.toml")
            mirror = settings["mirror"]
            assert (mirror["language"], mirror["name"]) == (LANGUAGES[group], name)
            assert settings["sinks"][1].endswith(f"/fleet/{name}")
            assert settings["camera"] == "demo:"


def all_are(fleet: Fleet, status: str) -> dict[str, str]:
    """What a summary says where all came out the same."""
    return dict.fromkeys(fleet.devices, status)


def test_ten_mirrors_come_of_nothing_wave_by_wave(fleet: Fleet) -> None:
    log = fleet.home / "first.log"
    done = fleet.deploy("--log", log)
    assert (done.status, outcomes(done)) == (0, all_are(fleet, "deployed")), done.err
    assert len(set(fleet.releases().values())) == 1
    assert done.err.count(f"; the next in {PAUSE} s\n") == len(fleet.waves) - 1
    for earlier, later in pairwise(fleet.waves):
        over = max(moment(log, name, "deployed: ") for name in earlier)
        began = min(moment(log, name, "looking at it") for name in later)
        # The log has whole seconds, and midnight may lie between.
        assert PAUSE - 1 <= (began - over) % DAY < DAY / 2


def test_each_has_the_settings_of_its_group_and_its_own(fleet: Fleet) -> None:
    require_settings(fleet)


def test_all_are_well_by_their_own_word(fleet: Fleet) -> None:
    found = fleet.status()
    assert {name: one["release"] for name, one in found.items()} == fleet.releases()
    assert {one["mood"] for one in found.values()} == {"happy"}
    assert list(fleet.status("--group", "lab")) == fleet.groups["lab"]


def test_all_are_well_by_the_brokers_word(fleet: Fleet) -> None:
    found = fleet.status_by_broker()
    assert list(found) == [f"fleet/{name}" for name in sorted(fleet.devices)]
    assert {one["mood"] for one in found.values()} == {"happy"}


def test_again_nothing_changes_on_any(fleet: Fleet) -> None:
    before = fleet.traces()
    done = fleet.deploy()
    assert (done.status, outcomes(done)) == (0, all_are(fleet, "unchanged")), done.err
    assert fleet.traces() == before


def test_a_wheel_that_does_not_start_comes_to_the_first_wave_alone(
    fleet: Fleet, tmp_path: Path
) -> None:
    before = fleet.releases()
    done = stopped(fleet, "--wheel", unimportable(fleet.wheel, tmp_path))
    first = fleet.waves[0]
    assert outcomes(done) == {**all_are(fleet, "not tried"), **dict.fromkeys(first, "failed")}
    assert done.out.count("No module named 'clack'") == len(first)
    assert fleet.releases() == before


def test_a_broker_that_is_away_is_undone_in_the_first_wave(fleet: Fleet, tmp_path: Path) -> None:
    before = fleet.releases()
    away = tmp_path / "away.toml"
    away.write_text('sinks = ["mirror:", "mqtt://127.0.0.1:9/fleet/none"]\n')
    done = stopped(fleet, "--settings", away, "--deadline", 20)
    first = fleet.waves[0]
    assert outcomes(done) == {**all_are(fleet, "not tried"), **dict.fromkeys(first, "rolled back")}
    assert fleet.releases() == before
    require_settings(fleet)


def stopped(fleet: Fleet, *words: object) -> Done:
    """Deploy what cannot work: later waves see nothing of it, and the first is well again."""
    before = fleet.traces()
    done = fleet.deploy(*words)
    assert done.status == 1
    first = fleet.waves[0]
    after = fleet.traces()
    assert [name for name in fleet.devices if after[name] != before[name]] == first
    for name in first:
        fleet.devices[name].wait(WELL)
    return done


def test_an_update_comes_to_all_and_goes_back_on_all(fleet: Fleet) -> None:
    before = fleet.releases()
    done = fleet.deploy("--model", "tiny")
    assert (done.status, outcomes(done)) == (0, all_are(fleet, "deployed")), done.err
    updated = fleet.releases()
    assert len(set(updated.values())) == 1
    assert updated != before
    began = time.monotonic()
    back = fleet.edgefer("rollback", "--watch", 5)
    print(f"\n{back.out}all of it: {time.monotonic() - began:.0f} s", flush=True)
    assert (back.status, outcomes(back)) == (0, all_are(fleet, "deployed")), back.err
    assert fleet.releases() == before
    assert {name: one["release"] for name, one in fleet.status().items()} == before
