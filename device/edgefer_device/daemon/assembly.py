"""The parts of a running daemon, built from one configuration and rebuilt when it is reloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2

from edgefer.bundle import Bundle
from edgefer.heads import Decoder
from edgefer.runtime import Classifier, choose, open_or_fall_back
from edgefer_device.cameras.managed import ManagedCamera
from edgefer_device.cameras.opening import camera_address, open_camera
from edgefer_device.daemon.configuration import Config, decoder_of, model_of, threshold_of
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker
from edgefer_device.mood.household import Household
from edgefer_device.mood.own_calibration import CalibrationStore
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.pipeline.frame_rate import FrameRate
from edgefer_device.pipeline.health import Health
from edgefer_device.pipeline.runner import Pipeline
from edgefer_device.sinks.enrollment import Enrollment
from edgefer_device.sinks.mqtt.discovery import DeviceInfo
from edgefer_device.sinks.opening import OpenSinks, SinkContext, open_sinks, page_url, sink_address
from edgefer_device.system.paths import state_folder


@dataclass(frozen=True, slots=True)
class Assembly:
    """The running parts of one configuration."""

    config: Config
    threshold: float
    """Probability that a label needs, unless `controls` has another."""
    pipeline: Pipeline
    camera: ManagedCamera
    health: Health
    sinks: OpenSinks
    frame_rate: FrameRate
    enrollment: Enrollment

    @property
    def progress(self) -> int:
        """Work done so far: frames analysed, and tries to reopen a lost camera."""
        return self.health.analysed + self.camera.tries


ClassifierLoader = Callable[[Bundle, str, int], Classifier]
"""Opens a bundle in a runtime with so many threads."""
Opener = Callable[[], Assembly]
"""Opens the camera, and with it the rest is complete; raises `CameraError`."""


def prepare(
    config: Config, controls: Controls, load: ClassifierLoader = open_or_fall_back
) -> Opener:
    """Open everything but the camera, what fails fastest first; raises an `EdgeferError`.

    The function returned opens the camera: on a reload the old one is closed before.
    """
    # One face at a time leaves OpenCV nothing to share out but its threads' overhead.
    cv2.setNumThreads(1)
    kind = camera_address(config.camera).scheme
    for uri in config.sinks:
        sink_address(uri)
    detector = open_detector(config.detector)
    health, bundle = Health(), model_of(config)
    decoder = decoder_of(config, bundle)
    threshold = threshold_of(config, decoder)
    runtime = choose(bundle, config.runtime)
    classifier = FaceClassifier(load(bundle, runtime, config.threads), bundle.manifest, decoder)
    store = CalibrationStore(state_folder(config.state), bundle.manifest, decoder)
    enrollment = Enrollment(store, classifier)
    context = sink_context(config, bundle, decoder, health, controls, enrollment)
    sinks = open_sinks(config.sinks, context)
    analyzer = FrameAnalyzer(
        detector,
        classifier,
        Tracker(config.tracking),
        config.mood,
        Household(decoder.labels, config.mood) if config.whose == "household" else None,
        quality=config.quality,
        threshold=lambda: controls.threshold or threshold,
        on_latency=health.on_latency,
    )

    def finish() -> Assembly:
        camera = open_camera(config.camera, pause=controls)
        enrollment.lacks_camera = lambda: kind == "auto" and camera.is_portrait
        frame_rate = FrameRate(config.frame_rate)
        pipeline = Pipeline(
            camera,
            analyzer,
            (*sinks.sinks, enrollment),
            health=health,
            frame_rate=frame_rate,
            paused=lambda: controls.paused,
        )
        return Assembly(config, threshold, pipeline, camera, health, sinks, frame_rate, enrollment)

    return finish


def sink_context(
    config: Config,
    bundle: Bundle,
    decoder: Decoder,
    health: Health,
    controls: Controls,
    enrollment: Enrollment | None = None,
) -> SinkContext:
    """Return what the sinks of a configuration are made from."""
    return SinkContext(
        state=state_folder(config.state),
        health=health,
        controls=controls,
        enrollment=enrollment,
        device=DeviceInfo.of(
            bundle.manifest,
            decoder.labels,
            threshold_of(config, decoder),
            page_url(config.sinks),
            config.mirror.language,
        ),
        appearance=bundle.manifest.appearance,
        mqtt=config.mqtt,
        mirror=config.mirror,
        history=config.history,
        content=config.content,
        screen=config.screen,
    )
