"""`gstreamer:`, a Jetson's CSI camera, or any pipeline of GStreamer's that ends in pictures."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import Annotated

import cv2

from edgefer.errors import CameraError, CameraNotFound, SettingsError
from edgefer_device.camera import Clock
from edgefer_device.cameras import STALL_SECONDS
from edgefer_device.cameras.capture import Captured
from edgefer_device.cameras.options import Size, count

SENSOR, WIDE = Size(1280, 720), Size(640, 360)


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
    return " ! ".join(
        (
            f"nvarguscamerasrc sensor-id={options.sensor}",
            f"video/x-raw(memory:NVMM),format=NV12,{_caps(options.capture)}"
            f",framerate={options.rate}/1",
            "nvvidconv",
            f"video/x-raw,format=BGRx,{_caps(options.size)}",
            "videoconvert",
            "video/x-raw,format=BGR",
            # Only the newest picture is of interest.
            "appsink drop=true max-buffers=1 sync=false",
        )
    )


def available() -> bool:
    """Whether this OpenCV was built with GStreamer; the one that pip installs was not."""
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER))


def open_gstreamer(text: str, options: GStreamerOptions, clock: Clock) -> Captured:
    """Open a pipeline of one's own, or a Jetson's CSI camera for an empty `text`.

    Raises `SettingsError` for a pipeline that cannot give pictures, `CameraError` where
    OpenCV lacks GStreamer and `CameraNotFound` where the pipeline does not start.
    """
    if text and options != GStreamerOptions():
        raise SettingsError("gstreamer: a pipeline of your own says sensor, size and rate itself")
    if text and "appsink" not in text:
        raise SettingsError(f"gstreamer:{text}: must end in 'videoconvert ! appsink'")
    if not available():
        raise CameraError(
            f"gstreamer: this OpenCV ({cv2.__version__}) was built without GStreamer; on a Jetson "
            "take the system's: a venv with --system-site-packages, opencv-python-headless removed"
        )
    whole, name = text or pipeline(options), f"gstreamer:{text or f'sensor {options.sensor}'}"
    if absent := absent_elements(whole):
        raise CameraError(
            f"{name}: GStreamer has no {' or '.join(absent)} here; nvargus is on a Jetson only, "
            "others come with: sudo apt install gstreamer1.0-plugins-good"
        )
    capture = _opened(whole)
    if not capture.isOpened():
        raise CameraNotFound(f"{name}: does not start; try it with: gst-launch-1.0 {whole}")
    return Captured(name, capture, clock, "is it plugged in? (systemctl status nvargus-daemon)")


def absent_elements(text: str) -> list[str]:
    """Return the elements of a pipeline that GStreamer lacks; none where it cannot be asked.

    OpenCV 4.6 waits for ever for a pipeline without its source.
    """
    names = [part.split()[0] for part in text.split("!") if part.split()]
    try:
        library = ctypes.CDLL("libgstreamer-1.0.so.0")
    except OSError:
        return []
    library.gst_init_check(None, None, None)
    library.gst_element_factory_find.restype = ctypes.c_void_p
    elements = [name for name in names if re.fullmatch(r"[a-z]\w*", name)]
    return [name for name in elements if not library.gst_element_factory_find(name.encode())]


def _opened(text: str) -> cv2.VideoCapture:
    """Return OpenCV's capture, open or not."""
    milliseconds = int(1000 * STALL_SECONDS)
    settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds]
    settings += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
    capture = cv2.VideoCapture(text, cv2.CAP_GSTREAMER, settings)
    if capture.isOpened():
        return capture
    # OpenCV 4.6 refuses these settings, and JetPack's is no newer everywhere.
    return cv2.VideoCapture(text, cv2.CAP_GSTREAMER)


def _caps(size: Size) -> str:
    return f"width={size.width},height={size.height}"
