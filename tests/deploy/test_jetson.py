"""A Jetson's deployment on a Debian that has no GPU: measured, kept, and told what is missing.

Nobody has run it on a Jetson. The wheel of onnxruntime that is named here is the index's own, for
the processor: what NVIDIA builds is named in the same way. GStreamer is Debian's, and plays the
portrait in place of a CSI camera's pictures; NVIDIA's daemon for that camera is a socket.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.conftest import Laptop
from edgefer_device.deploy import artifacts
from edgefer_device.deploy.agent.layout import AS_SERVICE
from edgefer_device.deploy.wheels import Wheelhouse
from rig.card import PYTHONS, face
from rig.container import Device
from support.firmware_files import Done

PLAYED = (
    "tcpclientsrc port=7007 ! rawvideoparse format=bgr width=640 height=480 framerate=15/1"
    " ! videoconvert ! appsink"
)
SETTINGS = f'camera = "gstreamer:{PLAYED}"\nsinks = ["mirror:"]\n'
CAMERA = """
import socket
picture = open("/root/face.bgr", "rb").read()
with socket.create_server(("127.0.0.1", 7007)) as server:
    while True:
        with server.accept()[0] as reader:
            try:
                while True:
                    reader.sendall(picture)
            except OSError:
                pass
"""
ARGUS = """
import os, socket, time
if os.path.exists("/tmp/argus_socket"):
    os.unlink("/tmp/argus_socket")
with socket.socket(socket.AF_UNIX) as server:
    server.bind("/tmp/argus_socket")
    server.listen()
    os.system("systemd-notify --ready")
    time.sleep(10**6)
"""
MOOD = "/opt/edgefer/current/bin/edgefer status | grep -q 'mood  *happy'"


def onnxruntime(laptop: Laptop) -> Path:
    """Return its wheel, fetched where it is not kept."""
    python = PYTHONS["amd64"]
    pins = artifacts.pins(python, runtime=True, named=False, assets=())
    (runtime,) = (pin for pin in pins.needed if pin.name == "onnxruntime")
    return Wheelhouse(laptop.wheelhouse, python).fetch([runtime])[0]


def unit(device: Device, name: str, script: str) -> None:
    """Start a service that is a script of Python's."""
    (device.files / "root" / f"{name}.py").write_text(script)
    text = (
        "[Service]\nType=notify\nNotifyAccess=all\n" if "notify" in script else "[Service]\n"
    ) + f"ExecStart=/usr/bin/python3 /root/{name}.py\n"
    (device.files / "etc/systemd/system" / f"{name}.service").write_text(text)
    device.check(f"systemctl daemon-reload; systemctl start {name}")


@pytest.fixture(scope="module")
def measured(deployed: Laptop) -> Iterator[Done]:
    """A deployment to what stands in for a Jetson; afterwards the device is what it was."""
    device, before = deployed.device, deployed.running()
    (device.files / "root" / "face.bgr").write_bytes(face().tobytes())
    unit(device, "camera", CAMERA)
    unit(device, "nvargus-daemon", ARGUS)
    # An engine as the measuring leaves it: made as the service's user, in the service's folder.
    built = 'mkdir -p "$CACHE_DIRECTORY/tensorrt/0" && touch "$CACHE_DIRECTORY/tensorrt/0/a"'
    device.check(shlex.join(["sh", "-c", AS_SERVICE, "sh", "/bin/sh", "-c", built]))
    words = ("--target", "jetson", "--wheel", deployed.wheel, "--wheel", onnxruntime(deployed))
    yield deployed.deploy(*words, settings=SETTINGS)
    # Back to what ran before, without a Jetson's units.
    back = deployed.edgefer("rollback", "--host", deployed.address, "--watch", 2)
    assert back.status == 0, back.out + back.err
    assert deployed.running() == before
    assert device.ssh("ls /etc/systemd/system/edgefer.service.d/jetson.conf").status != 0


def environment(device: Device) -> list[str]:
    """Return the service's variables, `NAME=value`."""
    pid = device.property("edgefer", "MainPID")
    return device.check(f"cat /proc/{pid}/environ").split("\0")


def test_a_jetson_is_measured_and_its_engines_are_the_services(
    deployed: Laptop, measured: Done
) -> None:
    device = deployed.device
    assert measured.status == 0, measured.out + measured.err
    for line in (
        "measuring which runtime is fastest there",
        "left out, as this onnxruntime lacks them: tensorrt, cuda, ",
        "onnx-int8, threads 1: ",
        "fastest: runtime = ",
    ):
        assert f": {line}" in measured.err
    logs = [path.read_text() for path in deployed.home.rglob("deploy/*.log")]
    assert any("lacks them: tensorrt, cuda" in log for log in logs)
    tuned = json.loads(device.check("cat /opt/edgefer/current/tuned.json"))
    settings = device.check("cat /etc/edgefer/edgefer.toml")
    assert f'runtime = "{tuned["runtime"]}"' in settings
    assert "CACHE_DIRECTORY=/var/cache/edgefer" in environment(device)
    pid = device.property("edgefer", "MainPID")
    owner = device.check(f"stat -c %u /proc/{pid} /var/cache/edgefer/tensorrt/0/a").split()
    assert owner[0] == owner[1] != "0"


def test_the_service_reads_what_gstreamer_plays(deployed: Laptop, measured: Done) -> None:
    device = deployed.device
    device.wait(MOOD)
    assert "GST_REGISTRY=/var/cache/edgefer/gstreamer" in environment(device)
    device.check("test -s /var/cache/edgefer/gstreamer")


def test_a_pipeline_that_stops_is_played_again(deployed: Laptop, measured: Done) -> None:
    device = deployed.device
    device.check("systemctl stop camera")
    device.wait("/opt/edgefer/current/bin/edgefer status | grep -q 'has given no frame'")
    device.check("systemctl start camera")
    device.wait(MOOD)


def test_the_service_follows_the_cameras_daemon_to_its_new_socket(
    deployed: Laptop, measured: Done
) -> None:
    def numbers() -> list[str]:
        pid = device.property("edgefer", "MainPID")
        place = "tmp/argus_socket"
        return device.check(f"stat -c %i /{place} /proc/{pid}/root/{place}").split()

    device = deployed.device
    first = numbers()
    device.check("systemctl restart nvargus-daemon")
    device.wait(MOOD)
    second = numbers()
    assert first[0] == first[1] != second[0] == second[1]


@pytest.mark.parametrize(
    ("played", "told"),
    [
        ("", 'GStreamer has no element "nvarguscamerasrc" here; nvargus is on a Jetson only'),
        ("nosuch ! appsink", 'GStreamer has no element "nosuch" here'),
        ("videotestsrc ! appsink speed=3", 'no property "speed" in element "appsink"; try it with'),
        ("videotestsrc ! ! appsink", "syntax error; try it with: gst-launch-1.0 videotestsrc"),
        ("appsink", "must have a source and one end, appsink"),
        ("videotestsrc ! tee name=t ! appsink t. ! appsink", "must have a source and one end"),
        ("audiotestsrc ! appsink", "does not start: Internal data stream error. (streaming"),
        ("filesrc location=/none ! appsink", "does not start: Resource not found. (No such file"),
    ],
)
def test_a_pipeline_that_gives_no_frame_is_reported(
    deployed: Laptop, measured: Done, played: str, told: str
) -> None:
    command = "/opt/edgefer/current/bin/edgefer run --sink jsonl:- --frames 1"
    done = deployed.device.ssh(f"{command} --camera 'gstreamer:{played}'")
    assert done.status == 1
    assert told in done.err
    assert len(done.err.splitlines()) == 1


def test_rows_that_end_in_padding_are_read(deployed: Laptop, measured: Done) -> None:
    script = (
        "from edgefer_device.cameras.opening import open_camera\n"
        "camera = open_camera('gstreamer:videotestsrc pattern=red"
        " ! video/x-raw,width=321,height=240 ! videoconvert ! appsink')\n"
        "picture = next(camera.frames()).image; camera.close()\n"
        "print(picture.shape, picture.reshape(-1, 3).min(0), picture.reshape(-1, 3).max(0))"
    )
    said = deployed.device.check(f'/opt/edgefer/current/bin/python -c "{script}"')
    assert said.strip() == "(240, 321, 3) [  0   0 255] [  0   0 255]"
