"""`gstreamer:`, a Jetson's CSI camera, or any pipeline of GStreamer's that ends in frames.

GStreamer comes from apt, and so does PyGObject, by which Python calls it; it is imported only when
it is asked for. OpenCV can play pipelines too, but not the one that pip installs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np

from edgefer.errors import CameraError, CameraNotFound, SettingsError
from edgefer_device.cameras import STALL_SECONDS
from edgefer_device.cameras.camera import Size
from edgefer_device.cameras.capture import CaptureCamera
from edgefer_device.system.address import count, redacted
from edgefer_device.system.clock import Clock

JETSON = Path("/etc/nv_tegra_release")
"""Exists on every Jetson."""
SENSOR, WIDE = Size(1280, 720), Size(640, 360)
INSTALL = (
    "sudo apt install python3-gi gir1.2-gstreamer-1.0 gstreamer1.0-plugins-base, "
    "and a venv made with --system-site-packages"
)
SINK = "appsink"
"""The element that hands frames over, and the last of a pipeline."""
NO_ELEMENT = 1
"""GST_PARSE_ERROR_NO_SUCH_ELEMENT."""


@dataclass(frozen=True, slots=True)
class GStreamerOptions:
    """The options of `gstreamer:` without a pipeline of one's own."""

    sensor: Annotated[int, count(0, 15)] = 0
    """Number of the CSI camera."""
    capture: Annotated[Size, Size.parse] = SENSOR
    """What the sensor is asked for: the next of its modes is taken."""
    size: Annotated[Size, Size.parse] = WIDE
    """What comes out; the image processor scales, which costs the CPU nothing."""
    rate: Annotated[int, count(1, 240)] = 30
    """Frames a second."""


def pipeline(options: GStreamerOptions) -> str:
    """Return the pipeline for a Jetson's CSI camera.

    From NVIDIA's Accelerated GStreamer guide: nvarguscamerasrc gives NV12 in the image
    processor's memory, nvvidconv scales it and brings it to the CPU's, but not as BGR.
    """
    return (
        f"nvarguscamerasrc sensor-id={options.sensor} ! video/x-raw(memory:NVMM),format=NV12,"
        f"{_caps(options.capture)},framerate={options.rate}/1 ! nvvidconv ! "
        f"video/x-raw,format=BGRx,{_caps(options.size)} ! videoconvert ! {SINK} sync=false"
    )


def absent() -> str | None:
    """Return why this Python cannot call GStreamer, None where it can."""
    try:
        import gi

        gi.require_version("Gst", "1.0")
    except ImportError:  # or one that was built for another Python
        return "this Python finds no PyGObject"
    except ValueError as exc:
        return str(exc)
    return None


def open_gstreamer(text: str, options: GStreamerOptions, clock: Clock) -> CaptureCamera:
    """Open a pipeline of one's own, or a Jetson's CSI camera for an empty `text`.

    Raises `SettingsError` for a pipeline that cannot give frames, `CameraError` where
    GStreamer is missing and `CameraNotFound` where the pipeline does not start.
    """
    if text and options != GStreamerOptions():
        raise SettingsError("gstreamer: a pipeline of your own sets sensor, size and rate itself")
    if text and text.rpartition("!")[2].split()[:1] != [SINK]:
        raise SettingsError(f"{redacted(f'gstreamer:{text}')}: must end in 'videoconvert ! {SINK}'")
    gst, name = _gst(), redacted(f"gstreamer:{text or f'sensor {options.sensor}'}")
    made = _made(gst, text or pipeline(options), name)
    sinks = list(_ends(gst, made))
    if len(sinks) != 1 or sinks[0].get_factory().get_name() != SINK:
        raise SettingsError(f"{name}: must have a source and one end, {SINK}")
    (sink,) = sinks
    sink.set_property("caps", gst.Caps.from_string("video/x-raw,format=BGR"))
    # Only the newest frame is of interest.
    sink.set_property("drop", True)
    sink.set_property("max-buffers", 1)
    capture = GStreamerCapture(gst, made, sink)
    if trouble := capture.start():
        capture.release()
        raise CameraNotFound(redacted(f"{name}: does not start: {trouble}"))
    hint = "try it with gst-launch-1.0" if text else "see: systemctl status nvargus-daemon"
    return CaptureCamera(name, capture, clock, hint)


class GStreamerCapture:
    """A pipeline, as a `Capture`."""

    def __init__(self, gst: Any, made: Any, sink: Any) -> None:
        self._gst, self._pipeline, self._sink = gst, made, sink
        self._patience = int(STALL_SECONDS * gst.SECOND)
        self._sample: Any = None
        """The frame that came, in the pipeline's memory."""

    def start(self) -> str | None:
        """Play it; return in words why it gives no frame, None where it does."""
        kinds, bus = self._gst.MessageType, self._pipeline.get_bus()
        self._pipeline.set_state(self._gst.State.PLAYING)
        # ASYNC_DONE: the first frame has reached the sink.
        message = bus.timed_pop_filtered(self._patience, kinds.ERROR | kinds.ASYNC_DONE)
        if message is None:
            return f"no frame in {STALL_SECONDS:.0f} s"
        if message.type == kinds.ASYNC_DONE:
            return None
        error, details = message.parse_error()
        # The last line of the details is the element's own word, the first its source's place.
        return f"{error.message} ({details.splitlines()[-1]})" if details else str(error.message)

    def grab(self) -> bool:
        """Wait for the next frame; False where none came in time, or the pipeline ended."""
        self._sample = self._sink.emit("try-pull-sample", self._patience)
        return self._sample is not None

    def retrieve(self) -> tuple[bool, Any]:
        """Return the frame, BGR: only those that are wanted are copied."""
        if self._sample is None:
            return False, None
        caps, buffer = self._sample.get_caps(), self._sample.get_buffer()
        if caps is None:  # not frames, whatever the sink asked for
            return False, None
        form = caps.get_structure(0)
        (_, width), (_, height) = form.get_int("width"), form.get_int("height")
        content = buffer.extract_dup(0, buffer.get_size())
        # Rows end in padding, to a multiple of four bytes.
        rows = np.frombuffer(content, np.uint8).reshape(height, -1)
        return True, rows[:, : 3 * width].reshape(height, width, 3)

    def release(self) -> None:
        """Stop it, which closes the camera; again is allowed."""
        self._sample = None
        self._pipeline.set_state(self._gst.State.NULL)


def _made(gst: Any, text: str, name: str) -> Any:
    """Return the pipeline of a text."""
    from gi.repository import GLib

    try:
        return gst.parse_launch(text)
    except GLib.Error as exc:
        if exc.matches(gst.ParseError.quark(), NO_ELEMENT):
            raise CameraError(
                f"{name}: GStreamer has {exc.message} here; nvargus is on a Jetson only, "
                "others come with: sudo apt install gstreamer1.0-plugins-good"
            ) from exc
        advice = redacted(f"try it with: gst-launch-1.0 {text}")
        raise SettingsError(redacted(f"{name}: {exc.message}; {advice}")) from exc


def _ends(gst: Any, made: Any) -> Iterator[Any]:
    """Yield the elements in which a pipeline ends; an element alone is none."""
    ends = made.iterate_sinks() if isinstance(made, gst.Bin) else None
    while ends is not None:
        result, element = ends.next()
        if result != gst.IteratorResult.OK:
            return
        yield element


def _gst() -> ModuleType:
    """Return GStreamer; raise `CameraError` where it is not installed."""
    if missing := absent():
        raise CameraError(f"gstreamer: {missing}; {INSTALL}")
    from gi.repository import Gst

    Gst.init(None)
    module: ModuleType = Gst
    return module


def _caps(size: Size) -> str:
    return f"width={size.width},height={size.height}"
