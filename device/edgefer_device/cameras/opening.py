"""Open the camera at an address: the driver, what reopens it, what turns its frames."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from edgefer.console import FallbackWarning
from edgefer.errors import CameraError, CameraNotFound, SettingsError
from edgefer_device.cameras.camera import VGA, Camera, Size, View
from edgefer_device.cameras.faulty import Faults, FaultyCamera
from edgefer_device.cameras.gstreamer import JETSON, GStreamerOptions, open_gstreamer
from edgefer_device.cameras.managed import ManagedCamera, Opened, PauseSwitch
from edgefer_device.cameras.pi import PiOptions, installed, open_pi, sensors
from edgefer_device.cameras.recorded import (
    ClipOptions,
    DemoOptions,
    ImagesOptions,
    open_clip,
    open_images,
    open_portrait,
)
from edgefer_device.cameras.stream import StreamOptions, open_stream, server
from edgefer_device.cameras.v4l2 import DEVICES, V4l2Options, nodes, open_v4l2
from edgefer_device.system.address import label_of, number, parse_address
from edgefer_device.system.clock import Clock
from edgefer_device.system.paths import user_path

STREAMS = ("rtsp", "http", "https")
FAULTY = "faulty"


@dataclass(frozen=True, slots=True)
class AutoOptions:
    """The options of `auto:`: those that every kind of camera has."""

    size: Annotated[Size, Size.parse] = VGA
    rate: Annotated[float, number(1, 240)] = 30.0
    """Frames a second."""


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """A camera's address, taken apart and checked."""

    scheme: str
    place: str = field(repr=False)
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
    open: Callable[[CameraSpec, Clock], Opened]
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
        text = f"'{FAULTY}:' stands once, before another camera's address"
        raise SettingsError(f"{label_of(uri)}: {text}")
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


def pause_persists(uri: str) -> bool:
    """Whether a pause of such a camera outlives the daemon: of clips and images it does not."""
    return camera_address(uri).scheme not in ("file", "images")


def open_camera(
    uri: str, clock: Clock = time.monotonic, pause: PauseSwitch | None = None
) -> ManagedCamera:
    """Open the camera at an address; hardware that is lost later is reopened until it is back.

    It is closed while `pause` says so. Raises `SettingsError` for an address that is not one of
    `FORMS`, `CameraNotFound` where nothing stands at it and `CameraError` where what stands there
    is no camera.
    """
    spec, since = camera_address(uri), clock()
    hardware = KINDS[spec.scheme].hardware

    def running() -> float:
        return clock() - since

    open_one: Callable[[], Opened] = partial(KINDS[spec.scheme].open, spec, running)
    if spec.scheme == "auto":
        open_one = AutoCamera(spec, running).open
    if spec.faults is None:
        return ManagedCamera(open_one, reopens=hardware, pause=pause, clock=running)
    faulty = FaultyCamera(open_one, spec.faults, running, reopens=hardware)
    return ManagedCamera(faulty.open, pause=pause, clock=running, release=faulty.release)


class AutoCamera:
    """The camera that this machine has; where it never had one, the demo if it is installed."""

    def __init__(self, spec: CameraSpec, clock: Clock) -> None:
        self._spec, self._clock = spec, clock
        self._found = False

    def open(self) -> Opened:
        """Open the first camera, or the demo with a warning until there was one."""
        try:
            camera = first_camera(self._spec.options, self._clock)
        except CameraNotFound as exc:
            if self._found:
                raise
            try:
                portrait = open_portrait(DemoOptions(), self._clock)
            except CameraNotFound:  # a device has none, and what it lacks is a camera
                raise exc from None
            warnings.warn(f"{exc}; showing demo: instead", FallbackWarning, stacklevel=2)
            return portrait, self._spec.view
        self._found = True
        return camera, self._spec.view


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
    why = "; ".join(reasons[:2]) or f"no {devices}/video*"
    raise CameraNotFound(f"no camera ({why}{more})")


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


def _pi(spec: CameraSpec, clock: Clock) -> Opened:
    return open_pi(spec.place, spec.options, spec.view, clock)


def _of(opener: Callable[[str, Any, Clock], Camera]) -> Callable[[CameraSpec, Clock], Opened]:
    """Return the opener of a kind that does nothing of the view itself."""
    return lambda spec, clock: (opener(spec.place, spec.options, clock), spec.view)


AUTO = _of(lambda _, options, clock: first_camera(options, clock))
DEMO = _of(lambda _, options, clock: open_portrait(options, clock))
CLIP = _of(lambda place, options, clock: open_clip(user_path(place), options, clock))
IMAGES = _of(lambda place, options, clock: open_images(user_path(place), options, clock))
STREAM = Kind("http[s]://HOST/PATH", StreamOptions, _of(open_stream), hardware=True)
KINDS: dict[str, Kind] = {
    "auto": Kind("auto:", AutoOptions, AUTO, hardware=True, placeless=True),
    "v4l2": Kind("v4l2:[/dev/video0]", V4l2Options, _of(open_v4l2), hardware=True),
    "picamera2": Kind("picamera2:[0]", PiOptions, _pi, hardware=True),
    "gstreamer": Kind("gstreamer:[PIPELINE]", GStreamerOptions, _of(open_gstreamer), hardware=True),
    "rtsp": Kind("rtsp://HOST/PATH", StreamOptions, _of(open_stream), hardware=True),
    "http": STREAM,
    "https": STREAM,
    "file": Kind("file:PATH[?pace=real][&loop=1]", ClipOptions, CLIP, hardware=False),
    "images": Kind("images:PATH[?rate=10]", ImagesOptions, IMAGES, hardware=False),
    "demo": Kind("demo:[?pace=fast]", DemoOptions, DEMO, hardware=False, placeless=True),
}
"""By scheme, in the order in which errors list them."""

FORMS = {
    **{scheme: kind.form for scheme, kind in KINDS.items()},
    FAULTY: "faulty:CAMERA[?every=100][&stall=5s]",
}
"""By scheme: how a camera's address is written. Every camera has the options `rotate=90`,
`mirror=1` and `crop=480x480+80+0`, and each kind its own; they stand behind `?`, for
streams, where that is the server's, behind `#`."""
