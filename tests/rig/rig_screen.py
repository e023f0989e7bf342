"""The kiosk as a device has it: a login with a seat, a console, a graphics card, Chromium for Arm.

    make rig PYTEST="-k rig_screen"

It fetches a browser over the network, in emulation.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefer_device.deploy.targets import KIOSK
from rig.container import tied
from rig.looks import shows_a_mood
from rig.machine import Machine, powered
from support.firmware_files import FIRMWARE
from support.live_mirror import LiveMirror

ONLINE = "ip route replace default via 10.0.2.2; echo nameserver 10.0.2.3 >/etc/resolv.conf"
"""What leads out of qemu's own network."""
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq"
PAGE = 8137
HOUR = 3600.0
# Neither is there for a card without a GPU behind it.
DRAWN = """[Service]
Environment=WLR_RENDERER=pixman
Environment=EDGEFER_KIOSK_FLAGS=--disable-gpu
"""

pytestmark = pytest.mark.timeout(4 * HOUR)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One with what a kiosk wants; made anew, or what `RIG_MACHINES` keeps from run to run."""
    kept = os.environ.get("RIG_MACHINES")
    place = Path(kept).absolute() if kept else tmp_path_factory.mktemp("machines")
    with powered("arm64", place / "screen", screen=True) as started:
        done = started.ssh(f"{ONLINE}; {APT} update", seconds=HOUR)
        if done.status:
            pytest.skip(f"no mirror of Debian's can be reached: {done.err.strip()[-200:]}")
        install = f"{APT} install -y --no-install-recommends {' '.join(KIOSK)} >/dev/null"
        started.check(install, seconds=HOUR)
        yield started


def copied(machine: Machine) -> None:
    """Bring the settings for devices there."""
    packed = ["tar", "-C", str(FIRMWARE.parent), "-c", FIRMWARE.name]
    words = ["ssh", *machine.options, "root@127.0.0.1", "tar -C /root -x"]
    with subprocess.Popen(packed, stdout=subprocess.PIPE) as archive:
        subprocess.run(words, stdin=archive.stdout, check=True)


def test_the_page_is_on_the_screen(machine: Machine) -> None:
    copied(machine)
    drop_in = "/etc/systemd/system/edgefer-kiosk.service.d"
    machine.check(f"mkdir -p {drop_in}; echo '{DRAWN}' >{drop_in}/drawn.conf")
    with LiveMirror(port=PAGE) as mirror:
        back = ["ssh", *machine.options, "-N", "-R", f"{PAGE}:127.0.0.1:{PAGE}", "root@127.0.0.1"]
        with tied(back, subprocess.DEVNULL):
            # No release is there: the daemon it starts ends, and the page comes from here.
            machine.ssh("sh /root/firmware-config/common/install --kiosk debian", seconds=HOUR)
            machine.check("systemctl stop edgefer; systemctl restart edgefer-kiosk")
            end = time.monotonic() + HOUR
            while not shows_a_mood(machine.picture()):
                mirror.publish("happy", 0.98)  # often, or it waits for its camera
                time.sleep(0.5)
                assert time.monotonic() < end, machine.check("journalctl -t edgefer-kiosk -n 20")
    assert machine.property("edgefer-kiosk.service", "NRestarts") == "0"
    assert "seat0" in machine.check("loginctl --no-legend | grep edgefer-kiosk")
