"""The benchmarks of `edgefer bench`: classifier, detector, stages of a frame, whole pipeline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from itertools import cycle

from edgefer.messages import Box, Detection, Report
from edgefer.preprocess import Pixels
from edgefer.runtime import Classifier
from edgefer_device.bench.components import Components, FrameSource, noise
from edgefer_device.bench.loops import Benchmark, Plan, Series, TurnClock, calling, run_in_turns
from edgefer_device.bench.result import STAGE, Timing
from edgefer_device.cameras.camera import Frame
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer, Probabilities
from edgefer_device.pipeline.runner import Pipeline

PIPELINE = "pipeline, a frame"


def classifier_benchmark(classifier: Classifier, size: int) -> Benchmark:
    """Return the classification of single faces, pixels to logits."""
    crops = noise(size)
    return calling("classifier, a face", lambda: classifier.logits(crops))


def time_classifier(classifier: Classifier, size: int, plan: Plan) -> Timing:
    """Time the classification of single faces, by itself."""
    (timing,) = run_in_turns([classifier_benchmark(classifier, size)], plan, "a face")
    return timing


def detector_benchmark(detector: FaceDetector, frames: Sequence[Pixels]) -> Benchmark:
    """Return face detection in frames, BGR, one after the other."""
    endless = cycle(frames)
    return calling("detector, a frame", lambda: detector.watch(next(endless)))


class TimedDetector(FaceDetector):
    """A detector whose every call is timed."""

    def __init__(self, detector: FaceDetector, series: Series) -> None:
        self._detector, self._series = detector, series

    def detect(self, image: Pixels) -> list[Detection]:
        """Return the detector's faces of a still, untimed."""
        return self._detector.detect(image)

    def watch(
        self, image: Pixels, known: Sequence[Box] = (), search: bool = True
    ) -> list[Detection]:
        """Return the detector's faces."""
        return self._series.timed(lambda: self._detector.watch(image, known, search))


class TimedFaceClassifier(FaceClassifier):
    """A face classifier whose cropping and classification are timed."""

    def __init__(self, components: Components, crop: Series, classify: Series) -> None:
        super().__init__(components.classifier, components.bundle.manifest, components.decoder)
        self._crop, self._classify = crop, classify

    def crop(self, image: Pixels, boxes: Sequence[Box]) -> list[Pixels]:
        """Crop faces."""
        return self._crop.timed(partial(super().crop, image, boxes))

    def read(self, crops: Sequence[Pixels]) -> Probabilities:
        """Classify faces; where all are rejected there is nothing to time."""
        read = partial(super().read, crops)
        return self._classify.timed(read) if crops else read()


class Stages:
    """The series of one turn, one for each stage in the order of a frame's way."""

    def __init__(self, turn: TurnClock) -> None:
        self.camera = Series(f"{STAGE}next frame", turn)
        self.detect = Series(f"{STAGE}detect", turn)
        self.crop = Series(f"{STAGE}crop", turn)
        self.classify = Series(f"{STAGE}classify", turn)
        self.rest = Series(f"{STAGE}track and filter", turn)
        self.sum = Series("all stages, a frame", turn)

    @property
    def all(self) -> tuple[Series, ...]:
        """Every series, the sum of the stages last."""
        return self.camera, self.detect, self.crop, self.classify, self.rest, self.sum

    def begin(self) -> None:
        """Forget the frame before: not every stage has work in every frame."""
        for one in self.all:
            one.latest = (0.0, 0.0)

    def end(self, wall: float, cpu: float) -> None:
        """Divide the analysis of a frame, seconds, among the stages."""
        inner = [one.latest for one in (self.detect, self.crop, self.classify)]
        self.rest.add(wall - sum(one[0] for one in inner), cpu - sum(one[1] for one in inner))
        camera = self.camera.latest
        self.sum.add(wall + camera[0], cpu + camera[1])


def stages_benchmark(components: Components, source: FrameSource) -> Benchmark:
    """Return the stages of a frame in one thread; a live camera's includes waiting for it.

    Running it raises `CameraError` where frames end.
    """

    def run(turn: TurnClock) -> Iterable[Series]:
        stages, analysis = Stages(turn), Series("analysis", turn)
        detector = TimedDetector(components.detector, stages.detect)
        classifier = TimedFaceClassifier(components, stages.crop, stages.classify)
        analyzer = components.analyzer(detector, classifier)
        with closing(source.open()) as camera:
            frames = camera.frames()
            while not turn.done:
                stages.begin()
                frame = stages.camera.timed(lambda: next(frames, None))
                if frame is None:
                    raise source.ended()
                analysis.timed(partial(analyzer.process, frame))
                stages.end(*analysis.latest)
                turn.ended()
        return stages.all

    return Benchmark("stages", run)


class TimedAnalyzer:
    """An analyzer in the pipeline that times each frame, and stops the pipeline after the last."""

    def __init__(
        self, analyzer: FrameAnalyzer, turn: TurnClock, stop: Callable[[], object]
    ) -> None:
        self._analyzer, self._turn, self._stop = analyzer, turn, stop
        self._cpu = time.process_time()
        self.series = Series(PIPELINE, turn)
        """Wall time of the analysis; CPU time of the whole process since the frame before."""

    @property
    def has_unconfirmed(self) -> bool:
        """As the analyzer's."""
        return self._analyzer.has_unconfirmed

    def process(self, frame: Frame) -> Report:
        """Return the analyzer's report."""
        begun = time.perf_counter()
        report = self._analyzer.process(frame)
        wall, cpu = time.perf_counter() - begun, time.process_time()
        self.series.add(wall, cpu - self._cpu)
        self._cpu = cpu
        if self._turn.ended():
            self._stop()
        return report


def pipeline_benchmark(components: Components, source: FrameSource) -> Benchmark:
    """Return the daemon's pipeline, threads and all, without sinks.

    Running it raises `CameraError` where frames end.
    """

    async def run(turn: TurnClock) -> Iterable[Series]:
        def stop() -> None:
            loop.call_soon_threadsafe(pipeline.stop)

        loop = asyncio.get_running_loop()
        timed = TimedAnalyzer(components.analyzer(), turn, stop)
        pipeline = Pipeline(source.open(), timed, ())
        await pipeline.run()
        if not turn.done:
            raise source.ended()
        return [timed.series]

    return Benchmark(PIPELINE, lambda turn: asyncio.run(run(turn)))
