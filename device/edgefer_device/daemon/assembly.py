"""One configuration, built: what is taken down and built anew when that is reloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgefer_device.cameras.managed import Pausable
from edgefer_device.daemon.configuration import Config
from edgefer_device.pipeline.frame_rate import Duty
from edgefer_device.pipeline.runner import Pipeline
from edgefer_device.sinks.context import Shared


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of a daemon that others ask something."""

    config: Config
    pipeline: Pipeline
    camera: Pausable
    shared: Shared
    duty: Duty

    @property
    def work(self) -> int:
        """What was done so far: frames analysed, and tries to open a lost camera again."""
        return self.shared.health.analysed + self.camera.tries


Opener = Callable[[], Assembly]
"""Opens the camera, and with it the rest is complete; raises `CameraError`."""
