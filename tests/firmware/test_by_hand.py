"""`common/install` on a booted Debian, as the first boot of a card or a hand starts it.

A script stands in for the daemon: what it does matters here, whether systemd can start it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from rig.container import Device, booted
from rig.root import Root
from support.firmware_files import FIRMWARE, Done

PROGRAM = "/opt/edgefer/current/bin/edgefer"
BLIND = """#!/bin/sh
echo "edgefer: v4l2:/dev/video9: no camera there" >&2
exit 1
"""
WELL = """#!/usr/bin/python3
import os, socket, time
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
    systemd.connect(os.environ["NOTIFY_SOCKET"])
    systemd.send(b"READY=1")
time.sleep(600)
"""


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    """A fresh device with the files, and nothing else of edgefer's."""
    with booted(Root().built()) as device:
        packed = ["tar", "-C", str(FIRMWARE.parent), "-c", FIRMWARE.name]
        files = subprocess.run(packed, check=True, capture_output=True).stdout
        unpack = ["ssh", *device.options, "root@127.0.0.1", "tar -C /opt -x"]
        subprocess.run(unpack, check=True, input=files)
        yield device


def install(device: Device, *options: str) -> Done:
    return device.ssh(f"sh /opt/{FIRMWARE.name}/common/install {' '.join(options)}")


def put(device: Device, program: str) -> None:
    """Put a program in the daemon's place."""
    command = f"mkdir -p $(dirname {PROGRAM}) && cat >{PROGRAM} && chmod 755 {PROGRAM}"
    words = ["ssh", *device.options, "root@127.0.0.1", command]
    subprocess.run(words, check=True, input=program.encode())


def test_without_edgefer_it_reports_what_is_missing_and_changes_nothing(device: Device) -> None:
    done = install(device, "debian")
    missing = f"install: {PROGRAM} is missing: see README.md, By hand\n"
    assert (done.status, done.out, done.err) == (1, "", missing)
    assert device.ssh("ls /etc/systemd/system/edgefer.service").status != 0


def test_without_a_camera_it_tells_and_ends_well_and_its_broker_has_a_password(
    device: Device,
) -> None:
    put(device, BLIND)
    device.check("systemctl disable --quiet --now mosquitto")
    done = install(device, "--broker", "debian")
    assert done.status == 0, done.out + done.err
    last = done.err.splitlines()[-1]
    assert last.startswith("install: systemd retries edgefer until it starts; last error: ")
    assert last.endswith("v4l2:/dev/video9: no camera there")
    assert device.check("systemctl is-enabled edgefer mosquitto").split() == ["enabled"] * 2
    assert device.state("mosquitto") == "active"
    told = "mosquitto_pub -h 127.0.0.1 -t edgefer/hello -m hello"
    device.wait(f'{told} -u edgefer -P "$(cat /etc/edgefer/mqtt-password)"')
    assert device.ssh(told).status != 0
    # Once the camera is there, nobody has to come back.
    put(device, WELL)
    device.wait("systemctl is-active edgefer")


def test_a_jetsons_engines_belong_to_its_service(device: Device) -> None:
    """Built by root while a deployment measures, before the service has a folder of its own."""
    put(device, WELL)
    engine = "/var/cache/edgefer/tensorrt/model/engine"
    device.check(f"mkdir -p $(dirname {engine}) && touch {engine}")
    assert install(device, "jetson").status == 0
    pid = device.property("edgefer", "MainPID")
    environment = device.check(f"tr '\\0' '\\n' </proc/{pid}/environ").splitlines()
    assert "CACHE_DIRECTORY=/var/cache/edgefer" in environment
    service, owner = device.check(f"stat -c %u /proc/{pid} {engine}").split()
    assert owner == service != "0"
