"""A Jetson's deployment on a Debian that has no GPU: measured, kept, and told what is missing.

Nobody has run it on a Jetson. The wheel of onnxruntime that is named here is the index's own, for
the processor: what NVIDIA builds is named in the same way.
"""

from __future__ import annotations

import json
from pathlib import Path

from deploy.conftest import Laptop
from edgefer_device.deploy import carried
from edgefer_device.deploy.wheels import Pins, Wheelhouse
from rig.card import PYTHONS


def onnxruntime(laptop: Laptop) -> Path:
    """Return its wheel, fetched where it is not kept."""
    python = PYTHONS["amd64"]
    house, pins = Wheelhouse(laptop.wheelhouse / python.name), Pins(carried.pins(), python)
    wheels = house.closure(laptop.wheel, ["onnxruntime"], pins, python)
    return next(wheel for wheel in wheels if wheel.name.startswith("onnxruntime-"))


def test_a_jetson_is_measured_and_its_engines_are_the_services(deployed: Laptop) -> None:
    device, before = deployed.device, deployed.running()
    # An engine as the measuring would leave it: made by root, before the service has a folder.
    device.check("mkdir -p /var/cache/edgefer/tensorrt/0 && touch /var/cache/edgefer/tensorrt/0/a")
    words = ("--target", "jetson", "--wheel", deployed.wheel, "--wheel", onnxruntime(deployed))
    done = deployed.deploy(*words)
    assert done.status == 0, done.out + done.err
    for line in (
        "measuring which runtime is fastest there",
        "left out: tensorrt: this onnxruntime has no TensorrtExecutionProvider",
        "left out: cuda: this onnxruntime has no CUDAExecutionProvider",
        "onnx-int8, threads 1: ",
        "fastest: runtime = ",
    ):
        assert f": {line}" in done.err
    logs = [path.read_text() for path in deployed.home.rglob("deploy/*.log")]
    assert any("left out: tensorrt: " in log for log in logs)
    tuned = json.loads(device.check("cat /opt/edgefer/current/tuned.json"))
    settings = device.check("cat /etc/edgefer/edgefer.toml")
    assert f'runtime = "{tuned["runtime"]}"' in settings
    pid = device.property("edgefer", "MainPID")
    environment = device.check(f"cat /proc/{pid}/environ").split("\0")
    assert "CACHE_DIRECTORY=/var/cache/edgefer" in environment
    # systemd took it over for the service's own user.
    owner = device.check(f"stat -c %u /proc/{pid} /var/cache/edgefer/tensorrt/0/a").split()
    assert owner[0] == owner[1] != "0"
    # Back to what ran before, without a Jetson's units.
    back = deployed.edgefer("rollback", "--host", deployed.address, "--watch", 2)
    assert back.status == 0, back.out + back.err
    assert deployed.running() == before
    assert device.ssh("ls /etc/systemd/system/edgefer.service.d/jetson.conf").status != 0
