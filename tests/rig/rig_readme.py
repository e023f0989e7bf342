"""README's own way, typed from README: from a bare device to a mood on its screen.

    make rig PYTEST="-k rig_readme"

A Raspberry Pi's camera is libcamera's virtual one behind the real picamera2, its screen wlroots'
headless one below the real cage and Chromium; everything else comes over the network.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.test_commands import commands
from rig.container import Device
from rig.deployment import WELL, edgefer
from rig.index import online
from rig.looks import is_written_on, shows_a_mood
from rig.rig_picamera2 import SYSTEM, picamera2, write_cameras
from rig.root import Root
from support.firmware_files import Done

README = Path(__file__).parents[2] / "README.md"
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
IN_SESSION = (
    "setpriv --reuid=edgefer-kiosk --regid=edgefer-kiosk --clear-groups env "
    "XDG_RUNTIME_DIR=/run/user/$(id -u edgefer-kiosk) WAYLAND_DISPLAY=wayland-0 "
)
"""Before a program that asks the kiosk's compositor."""
MEMORY = (
    "for one in $(pgrep -u edgefer-kiosk); do cat /proc/$one/smaps_rollup; done 2>&- | "
    "awk '/^Pss:/ { kb += $2 } END { print int(kb / 1024) }'"
)
"""Prints what the session holds, in MB, each process's share of what they share."""
INSTALLED = """
Package: python3-picamera2
Status: install ok installed
Maintainer: the rig
Architecture: all
Version: 0.3.38
Description: comes as a layer, since Debian has none
"""

pytestmark = pytest.mark.timeout(2 * 3600)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """Raspberry Pi OS as far as a container can be: a ribbon camera, boot settings, no edgefer."""
    layer = tmp_path_factory.mktemp("pi")
    write_cameras(layer)
    system = Root(packages=SYSTEM)
    texts = {
        "boot/firmware/config.txt": "arm_boost=1\n",
        "etc/systemd/system/edgefer-kiosk.service.d/rig.conf": SCREEN,
        "var/lib/dpkg/status": (system.built() / "var/lib/dpkg/status").read_text() + INSTALLED,
        "var/lib/dpkg/info/python3-picamera2.list": "",
    }
    for place, text in texts.items():
        (layer / place).parent.mkdir(parents=True, exist_ok=True)
        (layer / place).write_text(text)
    probe = tmp_path_factory.mktemp("probe")
    with online([layer, picamera2()], probe, system) as device:
        home = device.folder / "home" / ".ssh"
        home.mkdir(parents=True)
        (home / "known_hosts").write_text(device.known_hosts.read_text())
        way = f"HostName 127.0.0.1\nPort {device.port}\nIdentityFile {device.key}\n"
        (home / "config").write_text(f"Host mirror.local\n{way}")
        yield device


def typed(device: Device, words: tuple[str, ...]) -> Done:
    """Type a command of README."""
    done = edgefer(device.folder / "home", *words[1:])
    print(f"\n$ {' '.join(words)}\n{done.out}", flush=True)
    return done


def test_readme_leads_to_a_mood_on_the_screen(device: Device) -> None:
    dry, real = (words for words, _ in commands(README) if words[:2] == ("edgefer", "deploy"))
    assert real == tuple(word for word in dry if word != "--dry-run")
    done = typed(device, dry)
    assert (done.status, "would install chromium" in done.out) == (0, True)
    assert device.ssh("test -e /opt/edgefer").status != 0
    begun = time.monotonic()
    done = typed(device, real)
    assert done.status == 0, done.out
    seen(device)
    print(f"from a bare device to a mood on its screen: {time.monotonic() - begun:.0f} s")
    status = device.check("/opt/edgefer/current/bin/edgefer status")
    assert re.search(r"^camera address +auto:", status, re.MULTILINE)
    device.wait(WELL)
    # No broker was asked for: nothing of one is there.
    settings = device.check("grep -v '^#' /etc/edgefer/edgefer.toml")
    assert re.search(r'^sinks = \["mirror:"\]', settings, re.MULTILINE)
    again = typed(device, real)
    assert (again.status, "unchanged" in again.out) == (0, True)


def screen(device: Device) -> bytes:
    """What is on the screen, as PNG."""
    words = ["ssh", *device.options, "root@127.0.0.1", f"{IN_SESSION} grim -"]
    done = subprocess.run(words, check=False, capture_output=True)
    return done.stdout if done.returncode == 0 else b""


def seen(device: Device, seconds: float = 120) -> float:
    """Wait until the screen shows a mood; return after how many seconds it did."""
    device.ssh(
        "command -v grim || apt-get -qq install -y --no-install-recommends grim", seconds=300
    )
    begun = time.monotonic()
    while not ((picture := screen(device)) and shows_a_mood(picture)):
        took = time.monotonic() - begun
        assert took < seconds, device.check("journalctl -t edgefer-kiosk -n 20")
        time.sleep(0.2)
    return time.monotonic() - begun


def set_to(device: Device, **settings: str) -> None:
    """Change the settings as their owner does, and have the daemon read them."""
    for key, value in settings.items():
        device.check(f"sed -i 's|^{key} = .*|{key} = {value}|' /etc/edgefer/edgefer.toml")
    device.check("systemctl restart edgefer")
    device.wait(WELL)


def outputs(device: Device) -> str:
    """Whether the screen is enabled, and its transform while it is, by the compositor's word."""
    return " ".join(
        re.findall(r"(?:Enabled|Transform): (\w+)", device.check(f"{IN_SESSION} wlr-randr"))
    )


def wait_for(device: Device, wanted: str, seconds: float = 60) -> float:
    begun = time.monotonic()
    while outputs(device) != wanted:
        assert time.monotonic() - begun < seconds, device.check("journalctl -u edgefer -n 20")
        time.sleep(0.2)
    return time.monotonic() - begun


def size(picture: bytes) -> tuple[int, int]:
    """Width and height of a PNG (its header)."""
    return int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")


def test_the_screen_is_rotated_sleeps_and_wakes_by_presence(device: Device) -> None:
    set_to(device, rotate="90", off_after="0.05")
    wait_for(device, "yes 90")
    seen(device)
    upright = screen(device)
    assert size(upright) == (720, 1280)
    # Nobody is on the picture of another camera.
    set_to(device, camera='"picamera2:1"')
    wait_for(device, "no")
    set_to(device, camera='"auto:"')
    print(f"\nlit {wait_for(device, 'yes 90'):.1f} s after the daemon was well")
    seen(device)
    assert size(screen(device)) == (720, 1280)


def test_without_a_camera_the_screen_tells_and_goes_on_by_itself(device: Device) -> None:
    lost = '"v4l2:/dev/video9"'
    device.check(f"sed -i 's|^camera = .*|camera = {lost}|' /etc/edgefer/edgefer.toml")
    device.ssh("systemctl restart edgefer; pkill -KILL cage")
    device.wait("""grep -q '"kind": "camera".*video9' /run/edgefer-kiosk/state.js""")
    deadline = time.monotonic() + 60
    while not (picture := screen(device)) or not is_written_on(picture):
        assert time.monotonic() < deadline, device.check("journalctl -t edgefer-kiosk -n 20")
        time.sleep(0.2)
    assert not shows_a_mood(picture)
    assert size(picture) == (720, 1280)  # rotated before the browser, by the settings alone
    before = device.check("pidof cage")
    set_to(device, camera='"auto:"')
    seen(device)
    assert device.check("pidof cage") == before


def test_the_browser_is_in_no_group_of_cameras_and_keyboards(device: Device) -> None:
    assert set(device.check("id -Gn edgefer-kiosk").split()) == {"edgefer-kiosk", "render"}
    refused = device.ssh("setpriv --reuid=pi --clear-groups ls /run/edgefer-kiosk")
    assert "Permission denied" in refused.err


def test_a_session_that_ends_begins_again_within_its_memory(device: Device) -> None:
    before = device.property("edgefer-kiosk.service", "MainPID")
    device.check("pkill -KILL cage")
    device.wait(f"pidof cage | grep -vx {before}")
    took, memory = seen(device), device.check(MEMORY)
    print(f"\non the screen {took:.1f} s later, with {memory.strip()} MB")
    user = device.check("id -u edgefer-kiosk").strip()
    # A login leaves its unit, so that a limit of the unit's would hold back nothing.
    assert f"user-{user}.slice" in device.check("cat /proc/$(pidof cage)/cgroup")
    assert device.property(f"user-{user}.slice", "MemoryMax") == str(1 << 30)
