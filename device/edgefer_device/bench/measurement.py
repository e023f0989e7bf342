"""One bench: what is asked, and everything that is measured for it in turn."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from edgefer.bundle import Bundle, open_bundle
from edgefer.console import track
from edgefer.errors import SettingsError
from edgefer.machine import describe_machine, machine
from edgefer.preprocess import Pixels
from edgefer.runtime_choice import chosen, runtime_of
from edgefer_device.bench.accuracy import measure_accuracy, read_faces
from edgefer_device.bench.components import Parts, classifying, detecting, open_parts
from edgefer_device.bench.loops import SECONDS, SHORT_SECONDS, Plan, in_turns
from edgefer_device.bench.pipeline_bench import piped
from edgefer_device.bench.result import SCHEMA, Bench, Timing
from edgefer_device.bench.source import Source
from edgefer_device.bench.stages import STAGE, staged
from edgefer_device.bench.startup import Start, measure_startup
from edgefer_device.bench.telemetry import Watch, not_sustained
from edgefer_device.bench.tune import Say, try_all

PICTURES = 30
"""Of the camera, that the detector alone is timed on."""
START_SECONDS, SHORT_START_SECONDS = 10.0, 3.0
"""For which the daemon runs where its camera does not end by itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be measured; names as on the command line."""

    bundle: str = "small"
    signed_by: Path | None = None
    """The key that must have signed it."""
    runtime: str | None = None
    threads: int = 1
    detector: str | None = None
    duration: float | None = None
    """Seconds of a loop; None takes the default."""
    short: bool = False
    camera: str | None = None
    tune: bool = False
    data: Path | None = None

    @property
    def plan(self) -> Plan:
        """How long each thing is measured; raises `SettingsError` where that is contradicted."""
        if self.short and self.duration is not None:
            raise SettingsError("--short sets the time itself: give it without --duration")
        if self.short:
            return Plan(SHORT_SECONDS, short=True)
        return Plan(SECONDS if self.duration is None else self.duration)


def open_requested(request: Request) -> Parts:
    """Open the classifier and the detector; raises an `EdgeferError` for what cannot be."""
    # As in the daemon: one face at a time leaves OpenCV nothing to share out.
    cv2.setNumThreads(1)
    bundle = open_bundle(request.bundle, request.signed_by)
    format = chosen(bundle, request.runtime)
    runtime_of(format)
    return open_parts(bundle, format, request.threads, request.detector)


def bench(request: Request, say: Say = lambda _: None) -> Bench:
    """Measure, and `say` what takes minutes or is left out of the tuning.

    Raises an `EdgeferError` for whatever cannot be opened, read or told.
    """
    # As in the daemon: one face at a time leaves OpenCV nothing to share out.
    cv2.setNumThreads(1)
    plan, source = request.plan, Source(request.camera)
    bundle = open_bundle(request.bundle, request.signed_by)
    format = chosen(bundle, request.runtime)
    runtime_of(format)
    faces = read_faces(bundle, request.data, plan.short) if request.data else None
    pictures = source.pictures(PICTURES)
    with Watch() as watch:
        parts = open_parts(bundle, format, request.threads, request.detector)
        timings = time_all(parts, source, pictures, plan)
        accuracy = None if faces is None else measure_accuracy(parts, faces)
        load, detector = parts.load, parts.detector_name
        # A chip has room for one: the daemon wants it now, and then the tuning.
        del parts
        gc.collect()  # pipelines that were timed hold themselves, and the parts
        start = _start_of(request, bundle, format)
        (startup,) = map(measure_startup, track([start], "the daemon's start"))
        tried = tuple(try_all(bundle, plan, say)) if request.tune else ()
    board = watch.board()
    loops = [
        (one.what, [loop.p50 for loop in one.loops])
        for one in timings
        if not one.what.startswith(STAGE)
    ]
    return Bench(
        schema=SCHEMA,
        machine=machine(),
        described=describe_machine(),
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
        board=board,
        warnings=tuple(not_sustained(board, loops)),
        tried=tried,
        accuracy=accuracy,
    )


def time_all(
    parts: Parts, source: Source, pictures: Sequence[Pixels], plan: Plan
) -> tuple[Timing, ...]:
    """Time each part alone, the stages, and the whole."""
    things = (
        classifying(parts.classifier, parts.bundle.manifest.input.preprocess.size),
        detecting(parts.detector, pictures),
        staged(parts, source),
        piped(parts, source),
    )
    return tuple(in_turns(things, plan, "loops"))


def _start_of(request: Request, bundle: Bundle, format: str) -> Start:
    """Return the daemon that is to be started for its first mood and its memory."""
    return Start(
        model=str(bundle.path),
        camera=request.camera or "demo:",
        detector=request.detector,
        runtime=format,
        threads=request.threads,
        seconds=SHORT_START_SECONDS if request.short else START_SECONDS,
    )
