"""Open the camera at an address: the driver, what reopens it, what turns its frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefer.errors import CameraNotFound, SettingsError
from edgefer_device.cameras.auto import AutoOptions, first_camera, warn_of_demo
from edgefer_device.cameras.camera import Camera
from edgefer_device.cameras.clip import ClipOptions, open_clip
from edgefer_device.cameras.faulty import Faults, with_faults
from edgefer_device.cameras.gstreamer import GStreamerOptions, open_gstreamer
from edgefer_device.cameras.images import ImagesOptions, open_images
from edgefer_device.cameras.pi import PiOptions, open_pi
from edgefer_device.cameras.portrait import DemoOptions, open_portrait
from edgefer_device.cameras.reconnecting import Reopening
from edgefer_device.cameras.stream import StreamOptions, open_stream, server
from edgefer_device.cameras.v4l2 import V4l2Options, open_v4l2
from edgefer_device.cameras.view import View, Viewed
from edgefer_device.system.address import parse_address
from edgefer_device.system.clock import Clock

STREAMS = ("rtsp", "http", "https")
FAULTY = "faulty"


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """A camera's address, taken apart and checked."""

    scheme: str
    place: str
    """A path, a number, a whole URL; may be empty."""
    options: Any
    """Those of the scheme, a dataclass."""
    view: View
    faults: Faults | None
    """None for a camera that is not `faulty:`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of camera."""

    form: str
    """How its address is written."""
    options: type[Any]
    open: Callable[[CameraSpec, Clock], tuple[Camera, View]]
    """Returns the camera and what is left to do of the view."""
    hardware: bool
    """Whether it can be lost and come back."""
    placeless: bool = False
    """Whether nothing stands between scheme and options."""


def camera_address(uri: str) -> CameraSpec:
    """Parse an address without opening it; raise `SettingsError` for whatever is not accepted."""
    inner = uri.removeprefix(f"{FAULTY}:")
    address = parse_address(inner, "camera", FORMS, STREAMS)
    if address.scheme == FAULTY:
        raise SettingsError(f"{uri}: '{FAULTY}:' stands once, before another camera's address")
    kind = KINDS[address.scheme]
    faults = [Faults] if inner != uri else []
    options = address.read(kind.options, View, *faults)
    if kind.placeless:
        address.refuse_place()
    if address.scheme in STREAMS:
        server(address.place)
    view = address.read(View, kind.options, *faults)
    struck = address.read(Faults, kind.options, View) if faults else None
    return CameraSpec(address.scheme, address.place, options, view, struck)


def is_hardware(uri: str) -> bool:
    """Whether a camera's address names hardware that must stay closed while paused."""
    return KINDS[camera_address(uri).scheme].hardware


def pause_persists(uri: str) -> bool:
    """Whether a pause of such a camera outlives the daemon: of clips and images it does not."""
    return camera_address(uri).scheme not in ("file", "images")


def open_camera(uri: str, clock: Clock = time.monotonic) -> Camera:
    """Open the camera at an address; hardware that is lost later is reopened until it is back.

    Raises `SettingsError` for an address that is not one of `FORMS`, `CameraNotFound` where
    nothing stands at it and `CameraError` where what stands there is no camera.
    """
    order, since = camera_address(uri), clock()

    def running() -> float:
        return clock() - since

    camera, view = _opened(order, running)
    if order.faults is not None:
        camera = with_faults(camera, order.faults, running)
    return camera if view.plain else Viewed(camera, view)


def _opened(order: CameraSpec, clock: Clock) -> tuple[Camera, View]:
    """Return the driver of an order, in what opens it again if it is hardware."""
    kind = KINDS[order.scheme]
    try:
        camera, view = kind.open(order, clock)
    except CameraNotFound as exc:
        if order.scheme != "auto":
            raise
        warn_of_demo(exc)
        return open_portrait(clock), order.view
    if not kind.hardware:
        return camera, view
    return Reopening(camera, lambda: kind.open(order, clock)[0], clock), view


def _file(order: CameraSpec, clock: Clock) -> tuple[Camera, View]:
    return open_clip(Path(order.place), order.options, clock), order.view


def _images(order: CameraSpec, clock: Clock) -> tuple[Camera, View]:
    return open_images(Path(order.place), order.options, clock), order.view


def _demo(order: CameraSpec, clock: Clock) -> tuple[Camera, View]:
    return open_portrait(clock), order.view


def _v4l2(order: CameraSpec, clock: Clock) -> tuple[Camera, View]:
    return open_v4l2(order.place, order.options, clock), order.view


def _gstreamer(order: CameraSpec, clock: Clock) -> tuple[Camera, View]:
    return open_gstreamer(order.place, order.options, clock), order.view


def _stream(order: CameraSpec, clock: Clock) -> tuple[Camera, View]:
    return open_stream(order.place, order.options, clock), order.view


def _pi(order: CameraSpec, clock: Clock) -> tuple[Camera, View]:
    return open_pi(order.place, order.options, order.view, clock)


def _auto(order: CameraSpec, clock: Clock) -> tuple[Camera, View]:
    return first_camera(order.options, clock), order.view


STREAM = Kind("http[s]://HOST/PATH", StreamOptions, _stream, hardware=True)
KINDS: dict[str, Kind] = {
    "auto": Kind("auto:", AutoOptions, _auto, hardware=True, placeless=True),
    "v4l2": Kind("v4l2:[/dev/video0]", V4l2Options, _v4l2, hardware=True),
    "picamera2": Kind("picamera2:[0]", PiOptions, _pi, hardware=True),
    "gstreamer": Kind("gstreamer:[PIPELINE]", GStreamerOptions, _gstreamer, hardware=True),
    "rtsp": Kind("rtsp://HOST/PATH", StreamOptions, _stream, hardware=True),
    "http": STREAM,
    "https": STREAM,
    "file": Kind("file:PATH[?pace=real][&loop=1]", ClipOptions, _file, hardware=False),
    "images": Kind("images:PATH[?rate=10]", ImagesOptions, _images, hardware=False),
    "demo": Kind("demo:", DemoOptions, _demo, hardware=False, placeless=True),
}
"""By scheme, in the order in which errors list them."""

FORMS = {
    **{scheme: kind.form for scheme, kind in KINDS.items()},
    FAULTY: "faulty:CAMERA[?every=100][&stall=5s]",
}
"""By scheme: how a camera's address is written. Every camera has the options `rotate=90`,
`mirror=1` and `crop=480x480+80+0`, and each kind its own; they stand behind `?`, for
streams, where that is the server's, behind `#`."""
