"""`common/install`, as the first boot of a card and a hand on the device start it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.conftest import Laptop

FILES = "/opt/edgefer/current/lib/python3.13/site-packages/edgefer_device/firmware-config"
SETTINGS = "/etc/edgefer/edgefer.toml"


@pytest.fixture
def blind(deployed: Laptop) -> Iterator[Laptop]:
    """A device whose camera is not plugged in yet, and whose broker nobody has started."""
    device = deployed.device
    device.check(f"cp {SETTINGS} /run/before; rm -f /etc/mosquitto/edgefer.passwd")
    device.check(f"sed -i 's|^camera = .*|camera = \"v4l2:/dev/video9\"|' {SETTINGS}")
    device.check("systemctl disable --quiet --now mosquitto")
    yield deployed
    device.check("rm -f /etc/mosquitto/conf.d/edgefer.conf /etc/mosquitto/edgefer.*")
    device.check(f"rm -f /etc/edgefer/mqtt-password; cp /run/before {SETTINGS}")
    device.check("systemctl restart edgefer")


def test_without_a_camera_it_tells_and_ends_well_and_its_broker_has_a_password(
    blind: Laptop,
) -> None:
    device = blind.device
    done = device.ssh(f"sh {FILES}/common/install --broker debian")
    assert done.status == 0, done.out + done.err
    assert "install: edgefer is tried again until it runs; now: " in done.err
    assert "/dev/video9" in done.err
    assert device.state("edgefer") == "activating"
    assert device.check("systemctl is-enabled edgefer mosquitto").split() == ["enabled"] * 2
    assert device.state("mosquitto") == "active"
    told = "mosquitto_pub -h 127.0.0.1 -t edgefer/hello -m hello"
    device.wait(f'{told} -u edgefer -P "$(cat /etc/edgefer/mqtt-password)"')
    assert device.ssh(told).status != 0
    # Once the camera is there, nobody has to come back.
    device.check(f"sed -i 's|^camera = .*|camera = \"demo:\"|' {SETTINGS}")
    device.wait("systemctl is-active edgefer")


def test_without_edgefer_it_says_what_is_missing_and_changes_nothing(deployed: Laptop) -> None:
    rules, inside = "/etc/udev/rules.d/70-edgefer.rules", FILES.partition("current/")[2]
    done = deployed.device.ssh(
        f"cd /opt/edgefer; release=$(readlink -f current); mv {rules} /run; mv current aside; "
        f"sh $release/{inside}/common/install debian; status=$?; mv aside current; "
        f"[ ! -e {rules} ] || status=9; mv /run/70-edgefer.rules {rules}; exit $status"
    )
    missing = "/opt/edgefer/current/bin/edgefer is missing: see README.md, By hand"
    assert (done.status, done.out, done.err) == (1, "", f"install: {missing}\n")
