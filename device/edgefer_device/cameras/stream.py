"""`rtsp:`, `http:` and `https:`, cameras in the network, read by OpenCV's FFmpeg."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Annotated

import cv2

from edgefer.errors import CameraError, CameraNotFound
from edgefer_device.cameras import STALL_SECONDS
from edgefer_device.cameras.capture import CaptureCamera
from edgefer_device.system.address import Url, label_of, redacted, seconds
from edgefer_device.system.clock import Clock

PORTS = {"rtsp": 554, "http": 80, "https": 443}
"""By scheme: the port where an address names none."""
PROBE_SECONDS = 2.0
"""How long to try the port of a stream that did not open, to tell why."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """The options of a stream; they stand behind a `#`, for a `?` is the server's."""

    timeout: Annotated[float, seconds] = STALL_SECONDS
    """Seconds to connect, and between two frames, after which the stream counts as lost."""


def open_stream(url: str, options: StreamOptions, clock: Clock) -> CaptureCamera:
    """Connect to a stream.

    Raises `SettingsError` for what is no address, `CameraNotFound` where nothing
    listens and `CameraError` where there is no video.
    """
    host, port = server(url)
    milliseconds = int(1000 * options.timeout)
    settings = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds]
    settings += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
    # One thread decodes faster than frames are analysed; each more would hold frames of its own.
    settings += [cv2.CAP_PROP_N_THREADS, 1]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, settings)
    if capture.isOpened():
        return CaptureCamera(redacted(url), capture, clock, "is it switched on and in the network?")
    capture.release()
    try:
        socket.create_connection((host, port), PROBE_SECONDS).close()
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise CameraNotFound(
            f"{label_of(url)}: {host} port {port} does not answer ({why}); "
            "check the address and that the camera is on"
        ) from exc
    raise CameraError(
        f"{label_of(url)}: accepts connections, but gave no video within {options.timeout:g} s; "
        "check path, user and password"
    )


def server(url: str) -> tuple[str, int]:
    """Return host and port of a stream's address; raise `SettingsError`."""
    scheme = url.partition("://")[0]
    parts = Url.parse(url, f"{scheme}://[USER:PASSWORD@]HOST[:PORT]/PATH")
    return parts.host, parts.port or PORTS[scheme]
