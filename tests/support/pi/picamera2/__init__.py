"""A Raspberry Pi's camera for machines that are none: what edgefer uses of picamera2 0.3.38,
with the behaviour of its source, and with a memory.

Sensors are put on the ribbon cables in `CABLES`; one that is pulled gives no more
pictures, and a job that waits for one blocks `close` until it is cancelled, as there.
"""

from __future__ import annotations

import selectors
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import libcamera
import numpy as np
from numpy.typing import NDArray


@dataclass
class Cable:
    """One sensor: what it is, what happened to it, and what was done with it."""

    model: str
    lens: bool = True
    pulled: bool = False
    usb: bool = False
    rated: bool = True
    """Whether it can be told its frames a second."""
    steadied: bool = True
    """Whether its exposure can keep to the mains."""
    turns: bool = True
    """Whether it can flip its pictures."""
    refuses: bool = False
    """Whether it is configured in vain."""
    form: str = "RGB888"
    """The only format that it sends."""
    opened: int = 0
    closed: int = 0
    configuration: dict[str, Any] = field(default_factory=dict)
    copied: int = 0
    """Pictures that were asked for as arrays."""
    damaged: int = 0
    """Of its next JPEGs cannot be decoded."""
    poller: weakref.ref[selectors.DefaultSelector] | None = None
    """An open file, as long as there is one."""


SHAPES: dict[str, Callable[[int, int], tuple[int, ...]]] = {
    "NV12": lambda width, height: (height * 3 // 2, width),
    # With rows that end in padding.
    "YUV420": lambda width, height: (height * 3 // 2, width + 64),
    "YUYV": lambda width, height: (height, width + 32, 2),
}
"""Of the arrays that a format's pictures are given as, where that is not (H, W, 3)."""
CABLES: list[Cable] = []


class Request:
    """One picture in the sensor's memory, until it is given back."""

    def __init__(self, device: Picamera2, cable: Cable, content: NDArray[np.uint8]) -> None:
        self._device, self._cable, self._content = device, cable, content
        self._held = True

    def make_array(self, name: str) -> NDArray[np.uint8]:
        assert name == "main"
        assert self._held
        if self._cable.damaged:
            self._cable.damaged -= 1
            raise OSError("broken data stream when reading image file")
        self._cable.copied += 1
        return self._content

    def release(self) -> None:
        if not self._held:
            raise RuntimeError("CompletedRequest: lock now has negative ref_count")
        self._held = False
        self._device.lent -= 1


class Picamera2:
    """One open sensor."""

    def __init__(self, camera_num: int = 0) -> None:
        if camera_num >= len(CABLES):
            raise RuntimeError(f"No camera number {camera_num} found")
        self._cable = CABLES[camera_num]
        if self._cable.pulled or self._cable.opened > self._cable.closed:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self._cable.opened += 1
        self._jobs: list[Future[Any]] = []
        self._started = False
        self._count = 0
        self.lent = 0
        """Pictures that were not given back: with none left, no more come."""

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return [
            {
                "Model": cable.model,
                "Num": number,
                "Id": f"/base/{'usb' if cable.usb else 'soc'}/i2c/{cable.model}@1a",
            }
            for number, cable in enumerate(CABLES)
        ]

    @property
    def camera_controls(self) -> dict[str, tuple[int, int, int]]:
        return {
            **({"FrameDurationLimits": (1, 2, 3)} if self._cable.rated else {}),
            **({"AfMode": (0, 2, 0)} if self._cable.lens else {}),
            **({"AeFlickerMode": (0, 2, 0)} if self._cable.steadied else {}),
            **({"AeFlickerPeriod": (100, 2, 0)} if self._cable.steadied else {}),
        }

    def create_video_configuration(
        self,
        main: dict[str, Any],
        transform: Any,
        buffer_count: int,
        queue: bool,
        controls: dict[str, Any],
    ) -> dict[str, Any]:
        width, height = main["size"]
        return {
            "main": main | {"size": (width - width % 2, height - height % 2)},
            "transform": transform,
            "buffer_count": buffer_count,
            "queue": queue,
            "controls": controls,
        }

    def configure(self, configuration: dict[str, Any]) -> None:
        for name in configuration.get("controls", {}):
            if name not in self.camera_controls:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        if self._cable.refuses:
            raise RuntimeError("Configuration failed: {'use_case': 'video'}")
        self._cable.configuration = configuration

    def camera_configuration(self) -> dict[str, Any]:
        """What came of the configuration: a camera that cannot do as it was asked goes on."""
        asked = self._cable.configuration
        transform = asked["transform"] if self._cable.turns else libcamera.Transform()
        main = asked["main"] | {"format": self._cable.form}
        return asked | {"main": main, "transform": transform}

    def start(self) -> None:
        self._started = True
        # The real one's threads leave theirs to the garbage collector.
        poller = selectors.DefaultSelector()
        self._cable.poller = weakref.ref(poller)

    def capture_request(self, wait: bool) -> Future[Any]:
        assert not wait
        job: Future[Any] = Future()
        if self._cable.pulled or self.lent >= self._cable.configuration.get("buffer_count", 6):
            self._jobs.append(job)
        else:
            self.lent += 1
            job.set_result(Request(self, self._cable, self._picture()))
        return job

    def _picture(self) -> NDArray[np.uint8]:
        width, height = self._cable.configuration["main"]["size"]
        self._count += 1
        shaped = SHAPES.get(self._cable.form)
        shape = shaped(width, height) if shaped else (height, width, 3)
        return np.full(shape, self._count % 256, np.uint8)

    def wait(self, job: Future[Any], timeout: float) -> Any:
        return job.result(timeout)

    def cancel_all_and_flush(self) -> None:
        for job in self._jobs:
            job.cancel()
        self._jobs = []

    def close(self) -> None:
        assert not self.lent, "the sensor's memory would stay mapped"
        assert not self._jobs, "stop would wait for ever behind a job that never ends"
        self._started = False
        self._cable.closed += 1
