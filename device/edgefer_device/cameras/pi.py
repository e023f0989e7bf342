"""`picamera2:`, the camera on a Raspberry Pi's ribbon cable, through libcamera.

picamera2 comes from apt (`python3-picamera2`), not from pip, and is imported only when
it is asked for. What is used of it here is written after its manual and its source,
version 0.3.38, and was tried on libcamera's virtual camera (`make rig`), on no sensor yet.
"""

from __future__ import annotations

import gc
import importlib.util
import os
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any

import cv2

from edgefer.errors import CameraError, CameraNotFound
from edgefer_device.cameras import STALL_SECONDS
from edgefer_device.cameras.camera import VGA, Size, View
from edgefer_device.cameras.capture import CaptureCamera
from edgefer_device.system.address import choice, flag, number
from edgefer_device.system.clock import Clock

INSTALL = (
    "picamera2 is not installed for this Python; on a Raspberry Pi: "
    "sudo apt install python3-picamera2, and a venv made with --system-site-packages"
)
FORMAT = "RGB888"
"""libcamera names the bytes of a pixel as a number, so this is blue, green, red in memory."""
CONVERSIONS = {
    FORMAT: None,
    "BGR888": cv2.COLOR_RGB2BGR,
    "MJPEG": cv2.COLOR_RGB2BGR,  # picamera2 has decoded it
    "YUYV": cv2.COLOR_YUV2BGR_YUYV,
    "UYVY": cv2.COLOR_YUV2BGR_UYVY,
    "NV12": cv2.COLOR_YUV2BGR_NV12,
    "YUV420": cv2.COLOR_YUV2BGR_I420,
}
"""To BGR from what a camera sends: without a Raspberry Pi's image processor, one of its own."""
FLICKER_MANUAL = 1
"""AeFlickerMode by a period that is given, which libcamera's control_ids_core.yaml numbers so."""
BUFFERS = 3
"""Frames on their way at once: enough for the full rate, and none of them old."""
REFUSALS = (RuntimeError, IndexError, OSError, ValueError, TypeError)
"""What picamera2 raises where a camera cannot be opened or set."""


@dataclass(frozen=True, slots=True)
class PiOptions:
    """The options of `picamera2:`."""

    size: Annotated[Size, Size.parse] = VGA
    """The image processor scales to it, which costs the CPU nothing."""
    rate: Annotated[float, number(0.1, 240)] = 30.0
    """Frames a second."""
    autofocus: Annotated[bool | None, flag] = None
    """Whether to focus all the time; by default where the sensor's lens can."""
    mains: Annotated[str | None, choice("50", "60")] = None
    """Hertz of the mains, 50 or 60: exposure keeps to whole flashes of lamps, against bands."""
    slowest: Annotated[float | None, number(0.1, 240)] = None
    """Frames a second to which a dark room may slow the sensor, for longer exposures."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One camera that libcamera knows."""

    number: int
    """What stands behind `picamera2:`."""
    model: str
    ribbon: bool
    """On a ribbon cable; libcamera shows USB cameras too, which are better read by `v4l2:`."""


def sensors() -> list[Sensor]:
    """Return what libcamera sees; raise `CameraError` where picamera2 is not installed."""
    found: Sequence[dict[str, Any]] = _picamera2().Picamera2.global_camera_info()
    return [
        Sensor(position, str(one.get("Model", "unknown")), "/usb" not in str(one.get("Id", "")))
        for position, one in enumerate(found)
    ]


def open_pi(place: str, options: PiOptions, view: View, clock: Clock) -> tuple[CaptureCamera, View]:
    """Open a sensor by its number; return it and what is left to do of the view.

    The sensor itself turns by 180 degrees and mirrors, where it can. Raises `CameraError` where
    picamera2 is absent or refuses, and `CameraNotFound` where there is no such sensor.
    """
    position = int(place or 0) if (place or "0").isdecimal() else -1
    found = sensors()
    if not 0 <= position < len(found):
        known = ", ".join(f"{one.number} ({one.model})" for one in found) or "none"
        raise CameraNotFound(
            f"picamera2:{place}: no such sensor; there are: {known}; see: edgefer cameras"
        )
    name = f"picamera2:{position} ({found[position].model})"
    asked = flips(view)
    try:
        device = _picamera2().Picamera2(position)
    except REFUSALS as exc:
        raise CameraError(f"{name}: {exc}; is another program using it?") from exc
    try:
        sent = _start(device, options, asked, name)
    except CameraError:  # worded in full; it is an OSError too
        device.close()
        raise
    except REFUSALS as exc:
        device.close()
        raise CameraError(f"{name}: refuses these options: {exc}") from exc
    capture = PiCapture(device, sent["format"], sent["size"][0])
    rest = rest_of(view, asked, (bool(sent["transform"].hflip), bool(sent["transform"].vflip)))
    return CaptureCamera(name, capture, clock, "is its ribbon cable seated?"), rest


Flips = tuple[bool, bool]
"""Across and down."""


def flips(view: View) -> Flips:
    """Return what the sensor is asked to do of a view.

    A crop is counted in the camera's own pixels and comes first, so with one nothing is left to
    the sensor; nor are quarter turns, which it cannot do.
    """
    if view.crop is not None or view.rotate in ("90", "270"):
        return False, False
    turned = view.rotate == "180"
    return turned != view.mirror, turned


def rest_of(view: View, asked: Flips, done: Flips) -> View:
    """Return what is left of a view, for the flips that libcamera reports as done."""
    if not any(asked):
        return view
    across, down = asked[0] != done[0], asked[1] != done[1]
    return View("180" if down else "0", mirror=across != down)


class PiCapture:
    """A running sensor, as a `Capture`."""

    def __init__(self, device: Any, form: str, width: int, stall: float = STALL_SECONDS) -> None:
        """Take a started sensor, the format that it sends and the width of its frames, pixels."""
        self._device, self._stall = device, stall
        self._conversion, self._width = CONVERSIONS[form], width
        self._request: Any = None
        """The frame that came, in the sensor's memory, which wants it back."""

    def grab(self) -> bool:
        """Wait for the next frame; False where none came in time or the sensor failed."""
        self._give_back()
        try:
            job = self._device.capture_request(wait=False)
            self._request = self._device.wait(job, timeout=self._stall)
        except (FutureTimeout, *REFUSALS):
            return False
        return True

    def retrieve(self) -> tuple[bool, Any]:
        """Return the frame, BGR: only those that are wanted are copied, or decoded."""
        if self._request is None:
            return False, None
        try:
            image = self._request.make_array("main")
        except REFUSALS:  # a JPEG that is damaged
            return False, None
        if self._conversion is not None:
            # Rows may end in padding, which picamera2 leaves to whoever converts.
            image = cv2.cvtColor(image, self._conversion)[:, : self._width]
        return True, image

    def _give_back(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.release()

    def release(self) -> None:
        """Close the sensor; again is allowed."""
        device, self._device = self._device, None
        if device is None:
            return
        self._give_back()
        # A frame that never came would make `stop` wait for ever behind it.
        device.cancel_all_and_flush()
        device.close()
        del device
        # picamera2 leaves open files behind it, two each time, in cycles that only this ends.
        gc.collect()


def _start(device: Any, options: PiOptions, asked: Flips, name: str) -> dict[str, Any]:
    """Start a sensor; return what it sends: `format`, `size` and `transform`."""
    import libcamera

    device.configure(
        device.create_video_configuration(
            main={"size": (options.size.width, options.size.height), "format": FORMAT},
            transform=libcamera.Transform(hflip=asked[0], vflip=asked[1]),
            buffer_count=BUFFERS,
            # Wait for the next frame rather than hand out one that was taken before.
            queue=False,
            controls=_controls(device, options, name),
        )
    )
    whole = device.camera_configuration()
    sent = {**whole["main"], "transform": whole["transform"]}
    if sent["format"] not in CONVERSIONS:
        raise CameraError(f"{name}: sends {sent['format']}, which is not read here; try v4l2:")
    device.start()
    return sent


def _controls(device: Any, options: PiOptions, name: str) -> dict[str, Any]:
    """Return what to set: picamera2 refuses all of it for one that the camera does not have."""
    import libcamera

    able = device.camera_controls
    controls: dict[str, Any] = {}
    if "FrameDurationLimits" in able:
        shortest, longest = options.rate, min(options.rate, options.slowest or options.rate)
        controls["FrameDurationLimits"] = (int(1_000_000 / shortest), int(1_000_000 / longest))
    if "AfMode" in able:
        modes = libcamera.controls.AfModeEnum
        controls["AfMode"] = modes.Manual if options.autofocus is False else modes.Continuous
    elif options.autofocus:
        raise CameraError(f"{name}: its lens has no motor; leave out autofocus=1")
    if options.mains is not None:
        if "AeFlickerMode" not in able:
            raise CameraError(f"{name}: cannot keep to the mains; leave out mains={options.mains}")
        controls["AeFlickerMode"] = FLICKER_MANUAL
        # Lamps flash twice a period; microseconds.
        controls["AeFlickerPeriod"] = 500_000 // int(options.mains)
    return controls


def installed() -> bool:
    """Whether this Python finds picamera2."""
    return importlib.util.find_spec("picamera2") is not None


def _picamera2() -> ModuleType:
    """Return picamera2; raise `CameraError` where it is not installed or does not load."""
    # libcamera logs its whole start-up on stderr otherwise.
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")
    if not installed():
        raise CameraError(f"picamera2: {INSTALL}")
    try:
        import picamera2
    # A part that was built for another NumPy fails with a ValueError.
    except (ImportError, *REFUSALS) as exc:
        raise CameraError(
            f"picamera2: does not load: {exc}; it needs the NumPy of the system (python3-numpy)"
        ) from exc
    module: ModuleType = picamera2
    return module
