"""`picamera2:` through the real picamera2 and libcamera, on libcamera's virtual camera.

Debian's libcamera has that camera; picamera2 comes from the package index, because Debian has none.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rig.card import PLACE, PYTHONS, SETTINGS, SYSTEM_SITE, face, write_card
from rig.container import Device, booted
from rig.root import CACHE, PACKAGES, Root, kept
from support.firmware_files import Done

SYSTEM = (
    *PACKAGES,
    *("python3-libcamera", "python3-numpy", "python3-pil", "python3-piexif", "python3-prctl"),
)
WHEELS = ("picamera2==0.3.38", "simplejpeg==1.9.0", "videodev2==0.0.4")
STAND_INS = {
    "pykms.py": "from unittest.mock import MagicMock\nPixelFormat = MagicMock()\n",
    "pidng/core.py": "PICAM2DNG = None\n",
    "pidng/camdefs.py": "Picamera2Camera = None\n",
}
"""Imported by picamera2, and never used by edgefer: what draws on screens, and writes raw pictures.
Neither can be had without a compiler."""
HERE = Path(__file__).parent
CONFIGURATION = "usr/share/libcamera/pipeline/virtual/virtual.yaml"
PICTURES = "opt/pictures"
CAMERAS = ("Upside down", "Bars", "Portrait")
"""picamera2 counts from the last."""
KNOWN = ", ".join(f"{number} ({name})" for number, name in enumerate(reversed(CAMERAS)))
PAUSES = 5
NEAR = 8
"""Between a channel before and after JPEG and a colour for four pixels, of 255 on average."""
EDGEFER = "/opt/edgefer/current/bin/edgefer"
UNIT = "edgefer.service"

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """A device with virtual cameras, whose service reads the one that shows a face."""
    layer = write_card(tmp_path_factory.mktemp("pi"), "amd64")
    write_cameras(layer)
    settings = layer / SETTINGS.lstrip("/")
    settings.write_text(settings.read_text().replace('"demo:"', '"picamera2:0"'))
    with booted(Root(packages=SYSTEM).built(), [layer, picamera2()]) as fresh:
        fresh.check(f"sh /{PLACE}/first-boot debian --broker", seconds=600)
        yield fresh


def picamera2() -> Path:
    """Return a layer with picamera2, kept as roots are."""
    own = (HERE / "virtual_camera.py").read_text()
    key = hashlib.sha256(repr((WHEELS, STAND_INS, own)).encode()).hexdigest()[:12]
    return kept(CACHE / f"picamera2-{key}", install)


def install(place: Path) -> None:
    site = place / SYSTEM_SITE
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    command += ["--only-binary=:all:", "--target", str(site)]
    subprocess.run([*command, *PYTHONS["amd64"].pip_options(), *WHEELS], check=True)
    for name, text in STAND_INS.items():
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(text)
    (site / "virtual_camera.py").write_text((HERE / "virtual_camera.py").read_text())
    with (site / "picamera2" / "__init__.py").open("a") as module:
        module.write("\nimport virtual_camera\n")


def write_cameras(layer: Path) -> None:
    """Make the virtual cameras that libcamera then finds, and their pictures."""
    folder = layer / PICTURES
    folder.mkdir(parents=True)
    picture = face()
    cv2.imwrite(str(folder / "portrait.jpg"), picture)
    cv2.imwrite(str(folder / "down.jpg"), cv2.rotate(picture, cv2.ROTATE_180))
    shown = {
        "Upside down": f'frames: {{ path: "/{PICTURES}/down.jpg" }}',
        "Bars": 'test_pattern: "bars"',
        "Portrait": f'frames: {{ path: "/{PICTURES}/portrait.jpg" }}',
    }
    cameras = [
        f'"{number}":\n  model: "{name}"\n  location: "CameraLocationFront"\n  {shown[name]}\n'
        "  supported_formats:\n"
        "  - { width: 640, height: 480, frame_rates: [5, 30] }\n"
        "  - { width: 320, height: 240, frame_rates: [5, 30] }\n"
        for number, name in enumerate(CAMERAS)
    ]
    place = layer / CONFIGURATION
    place.parent.mkdir(parents=True)
    place.write_text("%YAML 1.1\n---\n" + "".join(cameras))


def run(pi: Device, camera: str, frames: int = 5) -> Done:
    """Run the daemon on a camera, for some of its frames."""
    return pi.ssh(f"{EDGEFER} run --camera '{camera}' --sink jsonl:- --frames {frames}")


def box(pi: Device, camera: str) -> list[float]:
    """Return where the daemon sees the face of a camera, which smiles: left, top, width, height."""
    done = run(pi, camera)
    assert done.status == 0, done.err
    last = json.loads(done.out.splitlines()[-1])
    assert last["mood"] == "happy"
    (one,) = last["faces"]
    found: list[float] = one["box"]
    return found


def held(pi: Device) -> int:
    """Return how many pictures' memory the service has."""
    files = f"/proc/{pi.property(UNIT, 'MainPID')}/fd"
    return pi.check(f"ls -l {files}").count("memfd:picture")


def picture(pi: Device, camera: str) -> np.ndarray[Any, Any]:
    """Return one picture of a camera as the daemon has it, BGR."""
    script = (
        "import cv2; from edgefer_device.cameras.opening import open_camera; "
        f"camera = open_camera('{camera}'); "
        "cv2.imwrite('/root/seen.png', next(camera.frames()).image); camera.close()"
    )
    pi.check(f'{Path(EDGEFER).parent}/python -c "{script}"')
    seen = cv2.imread(str(pi.files / "root" / "seen.png"), cv2.IMREAD_UNCHANGED)
    assert seen is not None
    return seen


def test_its_sensors_are_found(pi: Device) -> None:
    listed = pi.check(f"COLUMNS=200 {EDGEFER} cameras")
    for number, name in enumerate(reversed(CAMERAS)):
        assert re.search(rf"picamera2:{number} +\S+ {name} ", listed), listed


def test_the_doctor_finds_them_and_the_systems_numpy(pi: Device) -> None:
    said = pi.ssh(f"{EDGEFER} doctor --config {SETTINGS}").out
    assert "picamera2 finds Portrait, Bars, Upside down" in said
    numpy = pi.check("python3 -c 'import numpy; print(numpy.__version__)'").strip()
    assert re.search(rf"ok +numpy +{re.escape(numpy)}, ABI matches OpenCV", said), said


def test_the_service_reads_the_face_behind_its_walls(pi: Device) -> None:
    pi.wait(f"{EDGEFER} status | grep -q 'mood  *happy'")
    assert pi.property(UNIT, "NRestarts") == "0"


def test_a_pause_lets_go_of_the_camera_each_time(pi: Device) -> None:
    process = pi.property(UNIT, "MainPID")
    seen = []
    for _ in range(PAUSES):
        pi.check(f"{EDGEFER} pause")
        pi.wait(f"{EDGEFER} status | grep -q 'camera  *paused'")
        assert held(pi) == 0
        seen.append(int(pi.check(f"ls /proc/{process}/fd | wc -l")))
        pi.check(f"{EDGEFER} resume")
        pi.wait(f"{EDGEFER} status | grep -q 'a face in view'")
        assert held(pi) > 0
    assert max(seen) == seen[0]
    assert pi.property(UNIT, "MainPID") == process


def test_the_service_ends_when_it_is_told_to(pi: Device) -> None:
    pi.check(f"systemctl stop {UNIT}", seconds=20)
    assert pi.property(UNIT, "Result") == "success"
    pi.check(f"systemctl start {UNIT}")


def test_the_colours_are_right(pi: Device) -> None:
    shown, seen = face(), picture(pi, "picamera2:0")
    assert seen.shape == shown.shape
    for channel in range(3):
        assert np.abs(seen[..., channel].astype(int) - shown[..., channel]).mean() < NEAR


def test_auto_takes_the_first_sensor(pi: Device) -> None:
    assert box(pi, "auto:") == box(pi, "picamera2:0") == box(pi, "picamera2:")


def test_a_size_and_a_rate_are_taken(pi: Device) -> None:
    large, small = box(pi, "picamera2:0?rate=10"), box(pi, "picamera2:0?size=320x240")
    assert small == pytest.approx([side / 2 for side in large], abs=3)


def test_what_the_camera_does_not_turn_is_turned(pi: Device) -> None:
    upright = box(pi, "picamera2:0")
    assert box(pi, "picamera2:2?rotate=180") == pytest.approx(upright, abs=3)
    left, _, width, _ = box(pi, "picamera2:2?rotate=180&mirror=1")
    assert left + width / 2 == pytest.approx(640 - upright[0] - upright[2] / 2, abs=15)


def test_a_picture_without_a_face_has_none(pi: Device) -> None:
    reports = [json.loads(line) for line in run(pi, "picamera2:1").out.splitlines()]
    assert [report["faces"] for report in reports] == [[]] * 5


@pytest.mark.parametrize(
    ("camera", "told"),
    [
        ("picamera2:9", f"picamera2:9: no such sensor; there are: {KNOWN}; see: edgefer cameras"),
        (
            "picamera2:0?autofocus=1",
            "picamera2:0 (Portrait): its lens has no motor; leave out autofocus=1",
        ),
    ],
)
def test_what_cannot_be_is_one_line(pi: Device, camera: str, told: str) -> None:
    done = run(pi, camera)
    own = [line for line in done.err.splitlines() if line.startswith("edgefer: ")]
    assert (done.status, done.out, own) == (1, "", [f"edgefer: {told}"])
