"""What picamera2 lacks to read libcamera's virtual camera, which is no Raspberry Pi's.

It runs on the device, where the end of picamera2's own `__init__` imports it. All else there is
picamera2 0.3.38's and libcamera 0.4's, as they are.

It gives memory for pictures: picamera2 takes it from a DMA heap, which containers and this
machine's kernel have not, and in one piece, where the virtual camera writes in two. It leaves out
raw pictures: picamera2 asks each camera for them, and the virtual one refuses to answer. It takes
back the turns that the virtual camera promises and does not make; others do not promise. And it
counts the camera as started before its first pictures are asked for: those of the virtual one are
there at once, and picamera2 stops asking where a picture comes before it counts so.
"""

from __future__ import annotations

import mmap
import os
from typing import Any

import libcamera
from picamera2 import picamera2


class Memory:
    """In the place of picamera2's `DmaAllocator`."""

    def __init__(self) -> None:
        self._of: dict[Any, list[Any]] = {}
        self.mapped: dict[Any, mmap.mmap] = {}
        self.sync = Mapped

    def allocate(self, configuration: Any, use_case: str) -> None:
        self._of, self.mapped = {}, {}
        for stream in configuration:
            made = dict(buffer(stream) for _ in range(stream.buffer_count))
            self._of[stream.stream] = list(made)
            self.mapped |= made

    def buffers(self, stream: Any) -> list[Any]:
        return self._of[stream]

    def acquire(self, buffers: Any) -> None:
        """Nothing that is in use is taken away."""

    release = acquire


class Mapped:
    """One buffer while it is read."""

    def __init__(self, allocator: Memory, made: Any, write: bool) -> None:
        self._memory = allocator.mapped[made]

    def __enter__(self) -> mmap.mmap:
        return self._memory

    def __exit__(self, *_: object) -> None:
        pass


def buffer(stream: Any) -> tuple[Any, mmap.mmap]:
    """Return a buffer for one picture in NV12: brightness, then colour, in one piece of memory."""
    colour, whole = stream.stride * stream.size.height, stream.frame_size
    file = os.memfd_create("picture")
    os.ftruncate(file, whole)
    planes = [plane(file, 0, colour), plane(file, colour, whole - colour)]
    made, memory = libcamera.FrameBuffer(planes), mmap.mmap(file, whole)
    os.close(file)
    return made, memory


def plane(file: int, offset: int, length: int) -> Any:
    made = libcamera.FrameBuffer.Plane()
    made.fd, made.offset, made.length = file, offset, length
    return made


def raw_modes(device: Any) -> list[dict[str, Any]]:
    role = libcamera.StreamRole.VideoRecording
    offered = device.camera.generate_configuration([role]).at(0).formats
    return [
        {"format": str(form), "size": (size.width, size.height)}
        for form in offered.pixel_formats
        for size in offered.sizes(form)
    ]


def update(device: Any, told: dict[str, Any], configuration: Any) -> None:
    configuration.orientation = libcamera.Orientation.Rotate0
    own_update(device, told, configuration)


def requests(device: Any) -> list[Any]:
    device.started = True
    made: list[Any] = own_requests(device)
    return made


own_update = picamera2.Picamera2._update_camera_config
own_requests = picamera2.Picamera2._make_requests
picamera2.DmaAllocator = Memory
picamera2.Picamera2._get_raw_modes = raw_modes
picamera2.Picamera2._update_camera_config = update
picamera2.Picamera2._make_requests = requests
