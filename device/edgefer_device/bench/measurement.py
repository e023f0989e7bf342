"""One bench: the request, and everything that is measured for it in turn."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edgefer.bundle import Bundle
from edgefer.console import track
from edgefer.errors import SettingsError
from edgefer.labels import FER2013
from edgefer.machine import describe_machine, machine
from edgefer_device.bench.benchmarks import (
    classifier_benchmark,
    detector_benchmark,
    pipeline_benchmark,
    stages_benchmark,
)
from edgefer_device.bench.components import Components, FrameSource, Request, open_components
from edgefer_device.bench.labelled_faces import LabelledFaces, read_part
from edgefer_device.bench.loops import run_in_turns
from edgefer_device.bench.result import SCHEMA, Accuracy, Bench, Timing
from edgefer_device.bench.startup import measure_startup
from edgefer_device.bench.telemetry import Recorder, not_sustained
from edgefer_device.bench.tune import try_all

FRAMES = 30
"""Of the camera, that the detector alone is timed on."""
START_SECONDS = {False: 10.0, True: 3.0}
"""For which the daemon runs where its camera does not end by itself; in a short run."""
PART = "PrivateTest"
SHORT_IMAGES = 500
"""Images of a short run, drawn at random, always the same."""


def bench(request: Request, progress: Callable[[str], None] = lambda _: None) -> Bench:
    """Measure; `progress` is called with a line for what takes minutes or is left out.

    Raises an `EdgeferError` for whatever cannot be opened, read or measured.
    """
    # As in the daemon: one face at a time leaves OpenCV nothing to share out.
    cv2.setNumThreads(1)
    plan, source = request.plan, FrameSource(request.camera)
    bundle, format = request.open_bundle()
    faces = _read_faces(bundle, request.data, plan.short) if request.data else None
    frames = source.first(FRAMES)
    with Recorder() as recorder:
        components = open_components(bundle, format, request)
        benchmarks = (
            classifier_benchmark(components.classifier, components.size),
            detector_benchmark(components.detector, frames),
            stages_benchmark(components, source),
            pipeline_benchmark(components, source),
        )
        timings = tuple(run_in_turns(benchmarks, plan, "loops"))
        accuracy = None if faces is None else _measure_accuracy(components, faces)
        load, detector = components.load, components.detector.name
        # An accelerator has room for one: the daemon wants it now, and then the tuning.
        del components, benchmarks
        gc.collect()  # pipelines that were timed hold themselves, and the components
        (startup,) = (
            measure_startup(config, START_SECONDS[plan.short])
            for config in track([_daemon_config(request, bundle, format)], "the daemon's start")
        )
        candidates = tuple(try_all(bundle, plan, progress)) if request.tune else ()
    telemetry = recorder.telemetry()
    return Bench(
        schema=SCHEMA,
        machine=machine(),
        hardware=describe_machine(),
        model=bundle.manifest.name,
        runtime=format,
        threads=request.threads,
        detector=detector,
        camera=source.name,
        short=plan.short,
        loop_seconds=plan.seconds,
        load=load,
        timings=timings,
        startup=startup,
        telemetry=telemetry,
        warnings=not_sustained(telemetry, _medians(timings)),
        candidates=candidates,
        accuracy=accuracy,
    )


def _medians(timings: tuple[Timing, ...]) -> list[tuple[str, list[float]]]:
    whole = [timing for timing in timings if not timing.is_stage]
    return [(timing.what, [loop.p50 for loop in timing.loops]) for timing in whole]


def _daemon_config(request: Request, bundle: Bundle, format: str) -> dict[str, str | int]:
    """Return the configuration with which the daemon is started."""
    config: dict[str, str | int] = {
        # Absolute: a shipped model's name would come before a folder's.
        "model": str(bundle.path.resolve()),
        "camera": request.camera or "demo:",
        "runtime": format,
        "threads": request.threads,
    }
    given = {"detector": request.detector, "signed_by": request.signed_by}
    return config | {key: value for key, value in given.items() if value is not None}


def _read_faces(bundle: Bundle, folder: Path, short: bool) -> LabelledFaces:
    """Read PrivateTest; raise `DatasetError`, or `SettingsError` for a model of other labels."""
    labels = bundle.manifest.decoder().labels
    if labels != FER2013:
        raise SettingsError(
            f"--data needs FER2013's seven labels, {bundle.manifest.name} has: "
            f"{', '.join(labels)}; measure it with: edgefer evaluate"
        )
    return read_part(folder, PART, SHORT_IMAGES if short else None)


def _measure_accuracy(components: Components, faces: LabelledFaces) -> Accuracy:
    """Classify each face by itself, as the daemon does."""
    classifier = components.face_classifier()
    pairs = list(zip(faces.images, faces.labels, strict=True))
    return Accuracy.of(
        [
            bool(classifier.read(classifier.resized(image[np.newaxis]))[0].argmax() == label)
            for image, label in track(pairs, f"accuracy on {PART}")
        ]
    )
