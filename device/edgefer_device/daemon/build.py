"""`edgefer run`: everything that a configuration names, built and run until it is told to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import cv2

from edgefer.runtime import open_classifier
from edgefer.runtime_choice import chosen
from edgefer_device.cameras.managed import Pausable
from edgefer_device.cameras.opening import camera_address, is_hardware, open_camera
from edgefer_device.daemon.assembly import Assembly, Opener
from edgefer_device.daemon.configuration import Config, model_of
from edgefer_device.daemon.supervisor import Lifecycle
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker
from edgefer_device.mood.household import Household
from edgefer_device.pipeline.analyzer import Analyst
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.pipeline.face_classifier import Reader
from edgefer_device.pipeline.frame_rate import Attentive, Duty, Paced
from edgefer_device.pipeline.health import Health
from edgefer_device.pipeline.runner import Limit, Pipeline
from edgefer_device.sinks.opening import open_sinks, share


def run(
    config: Config,
    frames: int | None = None,
    seconds: float | None = None,
    reread: Callable[[], Config] | None = None,
) -> bool:
    """Run until the camera ends, SIGTERM, Ctrl-C, or a limit: reports, or camera's seconds.

    `reread` is what SIGHUP reads the configuration with. Returns whether the daemon is
    wanted again. Raises an `EdgeferError` for whatever cannot be opened, is lost or refuses.
    """
    lifecycle = Lifecycle(config, prepare, reread or (lambda: config))
    return asyncio.run(lifecycle.run(Limit(frames, seconds)))


def prepare(config: Config, controls: Controls) -> Opener:
    """Open what a configuration names, the cheapest to refuse first, but for the camera.

    That comes last, by the function returned: who reloads lets go of it before.
    """
    # One face at a time leaves OpenCV nothing to share out but its threads' overhead.
    cv2.setNumThreads(1)
    camera_address(config.camera)
    shared = share(config, Health(), controls)
    sinks = open_sinks(config, shared=shared)
    detector = open_detector(config.detector)
    bundle = model_of(config)
    runtime = chosen(bundle, config.runtime)
    reader = Reader(open_classifier(bundle, runtime, config.threads), bundle.manifest)
    household = Household() if config.whose == "household" else None
    tracker = Tracker(config.tracking)
    analyst = Analyst(
        detector,
        reader,
        tracker,
        config.mood,
        household,
        quality=config.quality,
        threshold=lambda: controls.threshold,
        took=shared.health.inference_took,
    )

    def finish() -> Assembly:
        hardware = is_hardware(config.camera)
        camera = Pausable(lambda: open_camera(config.camera), controls, hardware)
        duty = Duty(config.duty)
        eye = shared.health.watch(Paced(camera, duty))
        pipeline = Pipeline(eye, Attentive(analyst, duty), sinks, paused=lambda: controls.paused)
        return Assembly(config, pipeline, camera, shared, duty)

    return finish
