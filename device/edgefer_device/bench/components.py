"""The components under test: the model, the detector, and the camera whose frames they get."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from edgefer.bundle import Bundle
from edgefer.errors import CameraError, SettingsError
from edgefer.heads import Decoder
from edgefer.preprocess import Pixels
from edgefer.runtime import Classifier, choose, open_classifier, runtime_of
from edgefer_device.bench.loops import SECONDS, SHORT_SECONDS, Plan
from edgefer_device.bench.result import Load
from edgefer_device.cameras.camera import Camera
from edgefer_device.cameras.opening import camera_address, open_camera
from edgefer_device.daemon.configuration import Config, model_of
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer
from edgefer_device.system.address import redacted
from edgefer_device.system.process import resident_mb

UNPACED_DEMO = "demo:?pace=fast"
LOOPED = ("file", "images")
"""Cameras that end by themselves unless they loop."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is measured, on which frames and for how long: the options of the command line."""

    bundle: str = "small"
    """Path, or the name of a shipped one."""
    signed_by: str | None = None
    """File of the key that must have signed it."""
    runtime: str | None = None
    threads: int = 1
    detector: str | None = None
    camera: str | None = None
    duration: float | None = None
    """Seconds of a loop; None takes the default."""
    short: bool = False
    tune: bool = False
    """Whether to time every runtime and thread count too."""
    data: Path | None = None
    """Folder of FER2013, to measure the accuracy on."""

    @property
    def plan(self) -> Plan:
        """How long each benchmark runs; raises `SettingsError` for contradicting options."""
        if self.short and self.duration is not None:
            raise SettingsError("--short sets the time itself: give it without --duration")
        return Plan(SHORT_SECONDS if self.short else self.duration or SECONDS, self.short)

    def open_bundle(self) -> tuple[Bundle, str]:
        """Return the bundle and the format that is run; raises `BundleError`, `SettingsError`."""
        bundle = model_of(Config(model=self.bundle, signed_by=self.signed_by))
        format = choose(bundle, self.runtime)
        runtime_of(format)
        return bundle, format


@dataclass(frozen=True, slots=True)
class Components:
    """A classifier and a detector, open."""

    bundle: Bundle
    format: str
    threads: int
    classifier: Classifier
    detector: FaceDetector
    load: Load
    """Of the classifier."""

    @property
    def size(self) -> int:
        """Side of a face crop, pixels."""
        return self.bundle.manifest.input.preprocess.size

    @property
    def decoder(self) -> Decoder:
        """How the format's logits become probabilities."""
        return self.bundle.manifest.decoder(format=self.format)

    def face_classifier(self) -> FaceClassifier:
        """Return the daemon's classifier of faces."""
        return FaceClassifier(self.classifier, self.bundle.manifest, self.decoder)

    def analyzer(
        self, detector: FaceDetector | None = None, classifier: FaceClassifier | None = None
    ) -> FrameAnalyzer:
        """Return the daemon's analyzer with its default settings; parts may be replaced."""
        settings = Config()
        return FrameAnalyzer(
            detector or self.detector,
            classifier or self.face_classifier(),
            Tracker(settings.tracking),
            settings.mood,
            quality=settings.quality,
        )


def open_components(bundle: Bundle, format: str, request: Request) -> Components:
    """Open them and classify a first face; raises what `open_classifier`, `open_detector` raise."""
    crops = noise(bundle.manifest.input.preprocess.size)
    held, begun = resident_mb(), time.perf_counter()
    classifier = open_classifier(bundle, format, request.threads)
    opened = time.perf_counter()
    classifier.logits(crops)
    done = time.perf_counter()
    load = Load(1e3 * (opened - begun), 1e3 * (done - opened), resident_mb() - held)
    detector = open_detector(request.detector)
    return Components(bundle, format, request.threads, classifier, detector, load)


def noise(size: int) -> Pixels:
    """Return one crop (1, size, size) of noise: what a face shows changes no time."""
    return np.random.default_rng(0).integers(0, 256, (1, size, size), np.uint8)


class FrameSource:
    """A camera that gives frames for as long as they are wanted; by default the unpaced demo."""

    def __init__(self, uri: str | None) -> None:
        """Raise `SettingsError` for an invalid address."""
        uri = uri or UNPACED_DEMO
        self.name = redacted(uri)
        spec = camera_address(uri)
        ends = spec.scheme in LOOPED and not spec.options.loop
        self._uri = f"{uri}{'&' if '?' in uri else '?'}loop=1" if ends else uri

    def open(self) -> Camera:
        """Open the camera; raises `CameraError`."""
        return open_camera(self._uri)

    def first(self, most: int) -> list[Pixels]:
        """Return its first frames, BGR; raise `CameraError` where there is none."""
        with closing(self.open()) as camera:
            found = [frame.image for frame in islice(camera.frames(), most)]
        if not found:
            raise CameraError(f"{self.name}: no frame; name another with --camera")
        return found

    def ended(self) -> CameraError:
        """Return the error for a camera that ended before the benchmark."""
        return CameraError(f"{self.name}: its frames ended before the bench did")
