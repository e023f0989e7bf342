"""The parts of the daemon that are timed, opened once, and each of them alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from edgefer.bundle import Bundle
from edgefer.preprocess import Pixels
from edgefer.runtime import Classifier, open_classifier
from edgefer_device.bench.loops import Plan, Thing, calling, in_turns
from edgefer_device.bench.result import Load, Timing
from edgefer_device.daemon.configuration import Config
from edgefer_device.daemon.status import resident_mb
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer


@dataclass(frozen=True, slots=True)
class Parts:
    """A classifier and a detector, open."""

    bundle: Bundle
    format: str
    threads: int
    classifier: Classifier
    detector: FaceDetector
    load: Load
    """Of the classifier."""

    @property
    def detector_name(self) -> str:
        """The kind of the detector."""
        return type(self.detector).__name__.lower()

    def analyzer(
        self, detector: FaceDetector | None = None, classifier: FaceClassifier | None = None
    ) -> FrameAnalyzer:
        """Return the daemon's analyst with its default settings; parts may be replaced."""
        settings = Config()
        return FrameAnalyzer(
            detector or self.detector,
            classifier or FaceClassifier(self.classifier, self.bundle.manifest),
            Tracker(settings.tracking),
            settings.mood,
            quality=settings.quality,
        )


def open_parts(bundle: Bundle, format: str, threads: int, detector: str | None) -> Parts:
    """Open the parts; raises what `open_classifier` and `open_detector` raise."""
    classifier, load = load_classifier(bundle, format, threads)
    return Parts(bundle, format, threads, classifier, open_detector(detector), load)


def load_classifier(bundle: Bundle, format: str, threads: int) -> tuple[Classifier, Load]:
    """Open a classifier and have it read a first face."""
    crops = noise(bundle.manifest.input.preprocess.size)
    held, begun = resident_mb(), time.perf_counter()
    classifier = open_classifier(bundle, format, threads)
    opened = time.perf_counter()
    classifier.logits(crops)
    done = time.perf_counter()
    load = Load(1e3 * (opened - begun), 1e3 * (done - opened), resident_mb() - held)
    return classifier, load


def noise(size: int) -> Pixels:
    """Return one face crop (1, size, size) of noise: what a face shows changes no time."""
    return np.random.default_rng(0).integers(0, 256, (1, size, size), np.uint8)


def classifying(classifier: Classifier, size: int) -> Thing:
    """Return reading single faces, pixels to logits."""
    crops = noise(size)
    return calling("classifier, a face", lambda: classifier.logits(crops))


def time_classifier(classifier: Classifier, size: int, plan: Plan) -> Timing:
    """Time single faces, by themselves."""
    (timing,) = in_turns([classifying(classifier, size)], plan, "a face")
    return timing


def detecting(detector: FaceDetector, pictures: Sequence[Pixels]) -> Thing:
    """Return looking for faces in pictures, BGR, one after the other."""
    given: Any = cycle(pictures)
    return calling("detector, a picture", lambda: detector.detect(next(given)))
