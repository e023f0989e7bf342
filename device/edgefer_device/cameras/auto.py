"""`auto:`, the camera that this machine has."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from edgefer.errors import CameraError, CameraNotFound
from edgefer.notices import Fallback
from edgefer_device.cameras.camera import VGA, Camera, Size
from edgefer_device.cameras.gstreamer import GStreamerOptions, open_gstreamer
from edgefer_device.cameras.pi import PiOptions, installed, open_pi, sensors
from edgefer_device.cameras.v4l2 import DEVICES, V4l2Options, nodes, open_v4l2
from edgefer_device.cameras.view import View
from edgefer_device.system.address import number
from edgefer_device.system.clock import Clock

JETSON = Path("/etc/nv_tegra_release")
"""Stands on every Jetson."""


@dataclass(frozen=True, slots=True)
class AutoOptions:
    """The options of `auto:`: those that every kind of camera has."""

    size: Annotated[Size, Size.parse] = VGA
    rate: Annotated[float, number(1, 240)] = 30.0
    """Frames a second."""


def first_camera(options: AutoOptions, clock: Clock, devices: Path = DEVICES) -> Camera:
    """Open the first camera that opens.

    A Raspberry Pi's sensor goes before USB cameras, these before a Jetson's sensor.
    Raises `CameraNotFound` where none does, with the reasons of the first two.
    """
    reasons = []
    for attempt in _attempts(options, clock, devices):
        try:
            return attempt()
        except CameraError as exc:
            reasons.append(str(exc))
    more = f"; and {len(reasons) - 2} more" if len(reasons) > 2 else ""
    said = "; ".join(reasons[:2]) or f"no {devices}/video*"
    raise CameraNotFound(f"no camera ({said}{more})")


def warn_of_demo(reason: CameraNotFound) -> None:
    """Say that the face which is shown stands before no camera."""
    warnings.warn(f"{reason}; showing demo: instead", Fallback, stacklevel=2)


def _attempts(options: AutoOptions, clock: Clock, devices: Path) -> Iterator[Callable[[], Camera]]:
    if installed():
        yield partial(_ribbon, PiOptions(options.size, options.rate), clock)
    for path in nodes(devices):
        yield partial(open_v4l2, str(path), V4l2Options(options.size, options.rate), clock)
    if JETSON.exists():
        # Its sensors are wide, and would be squeezed into another shape.
        wide = Size(options.size.width, options.size.width * 9 // 16)
        csi = GStreamerOptions(size=wide, rate=int(options.rate))
        yield partial(open_gstreamer, "", csi, clock)


def _ribbon(options: PiOptions, clock: Clock) -> Camera:
    found = [one for one in sensors() if one.ribbon]
    if not found:
        raise CameraNotFound("picamera2: sees no sensor")
    # It is given no view: what comes back after a loss may be another kind of camera.
    camera, _ = open_pi(str(found[0].number), options, View(), clock)
    return camera
