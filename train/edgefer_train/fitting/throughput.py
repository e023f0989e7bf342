"""Benchmark of the input pipeline: its share of a fit's speed on this machine."""

from __future__ import annotations

import time
from collections import deque
from itertools import islice, pairwise
from statistics import median, quantiles
from typing import Any

import msgspec
import numpy as np
import tensorflow as tf
import tf_keras as keras

from edgefer.labels import FERPLUS, LABEL_SETS
from edgefer.machine import machine
from edgefer_train.architectures import build
from edgefer_train.data.dataset import Dataset, Faces, Usage
from edgefer_train.fitting.batches import batches, steps_per_epoch
from edgefer_train.fitting.compiling import choose_compute, compile_model, computing_in
from edgefer_train.fitting.fit import heads_of, side_schedule, targets_of
from edgefer_train.fitting.teachers import Teachers, load_teachers
from edgefer_train.recipe import Recipe

FACES = 28_709
"""As many as FER2013's Training has: caches are as cold as in a fit on it."""
WARM_UP = 4
"""Steps of each turn before those that count: the pipeline fills its buffers."""
TURN = 2.0
"""Seconds that the steps of a turn should take; short, since other work comes and goes."""
LEAST_PAIRS = 2
"""Turns of either kind, however short the time."""
PAIRS = 4
"""Turns of either kind that are to fit into the time, where a step is short enough."""
READY = 8
"""Batches that a pipeline holds ready, at most: they are made before anybody waits for them."""
LEAST_ALONE = 4
"""Batches of a turn of the pipeline alone: what its two threads have begun is then little of it."""


class FeedTimes(msgspec.Struct, frozen=True):
    """Speed of a fit at one image side, fed by turns from memory and from the pipeline."""

    side: int
    """Pixels."""
    pairs: int
    """Turns of either kind, one after the other."""
    memory: float
    """Images a second from tensors in memory; median of the turns."""
    pipeline: float
    """Images a second from the pipeline; median of the turns."""
    ratio: float
    """Of two turns that follow each other, pipeline over memory; median."""
    quartiles: tuple[float, float]
    """Of that ratio: they lie far apart where other work shares the machine."""
    cpu_ratio: float
    """Of the CPU time of a step in such turns, memory over pipeline; median. It is what `ratio`
    comes to where a step keeps all cores busy, and other work hardly changes it."""
    step_cpu_ms: float
    """CPU time of a step from memory, all threads; median."""
    pipeline_cpu_ms: float
    """CPU time of a batch that the pipeline makes with no model beside it; median."""


class Throughput(msgspec.Struct, frozen=True):
    """One benchmark on one machine."""

    machine: str
    recipe: str
    batch_size: int
    sides: tuple[FeedTimes, ...]


class Turn(msgspec.Struct, frozen=True):
    """Some steps of a fit: seconds a step, wall and CPU."""

    wall: float
    cpu: float


def throughput(recipe: Recipe, name: str, seconds: float) -> Throughput:
    """Time a recipe's model and its teachers for `seconds` over all sides that its images have.

    Compiling comes before that and is not counted. Of steps so long that four turns of each feed do
    not fit into the time there are two.

    The images are noise: what they show changes no figure. From memory comes one and the same
    batch again and again, which costs nothing: no `fit` on tensors can be faster.
    """
    dataset = noise(recipe)
    steps = steps_per_epoch(dataset.faces, recipe.fit.batch_size)
    compute = choose_compute(recipe, steps * recipe.fit.epochs)
    sides = sorted({side for side, _ in side_schedule(recipe)})
    with computing_in(compute.precision):
        side = None if recipe.fit.sizes else recipe.side
        heads = {name: len(labels) for name, labels in heads_of(recipe, dataset).items()}
        model = build(recipe.architecture, heads, side)
    compile_model(model, recipe, steps, compute.xla)
    teachers = load_teachers(recipe.distill)
    times = tuple(
        _at(model, recipe, dataset, teachers, side, seconds / len(sides)) for side in sides
    )
    return Throughput(machine(), name, recipe.fit.batch_size, times)


def noise(recipe: Recipe) -> Dataset:
    """Return a dataset of the size and the labels of FER2013's Training, without its faces."""
    labels = LABEL_SETS.get(recipe.labels, LABEL_SETS["fer2013"])
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (FACES, recipe.side, recipe.side), np.uint8)
    chosen = random.integers(0, len(labels), FACES).astype(np.int8)
    votes = random.integers(0, 3, (FACES, len(FERPLUS) + 2)).astype(np.uint8)
    usage = np.full(FACES, Usage.Training, np.int8)
    return Dataset("noise", labels, Faces(images, chosen, votes), usage)


def _at(
    model: Any, recipe: Recipe, dataset: Dataset, teachers: Teachers | None, side: int,
    seconds: float,
) -> FeedTimes:  # fmt: skip
    """Alternate between the two feeds, which of them first by turns as well."""
    faces, size = dataset.faces, recipe.fit.batch_size
    targets = targets_of(recipe, dataset, faces)
    stream = batches(
        faces,
        teachers.scale_own(targets) if teachers else targets,
        recipe.augment,
        size,
        recipe.seed,
        side=side,
        balance=recipe.fit.balance,
        labels=dataset.labels,
        teach=teachers,
    )
    feeds = [tf.data.Dataset.from_tensors(next(iter(stream))).repeat(), stream]
    # The first turn of each compiles the step for its feed.
    walls = [time_turn(model, feed, 1, warm_up).wall for feed in feeds for warm_up in (2, 1)]
    share = min(TURN, seconds / (2 * PAIRS + 1))
    # A turn warms up for as long as it lasts, at most.
    steps = max(1, round(share / (2 * max(walls[1], walls[3]))))
    memory, pipeline = list[Turn](), list[Turn]()
    began = time.monotonic()
    while len(memory) < LEAST_PAIRS or _another(began, len(memory), 0.9 * seconds):
        order = ((feeds[0], memory), (feeds[1], pipeline))
        for feed, turns in order[:: 1 if len(memory) % 2 else -1]:
            turns.append(time_turn(model, feed, steps, min(WARM_UP, steps)))
    alone = max(LEAST_ALONE, min(20, round(0.02 * seconds / walls[3])))
    ratios = [a.wall / b.wall for a, b in zip(memory, pipeline, strict=True)]
    low, _, high = quantiles(ratios, n=4)
    return FeedTimes(
        side=side,
        pairs=len(ratios),
        memory=size / median(turn.wall for turn in memory),
        pipeline=size / median(turn.wall for turn in pipeline),
        ratio=median(ratios),
        quartiles=(low, high),
        cpu_ratio=median(a.cpu / b.cpu for a, b in zip(memory, pipeline, strict=True)),
        step_cpu_ms=1e3 * median(turn.cpu for turn in memory),
        pipeline_cpu_ms=1e3 * time_pipeline(stream, alone),
    )


def _another(began: float, done: int, seconds: float) -> bool:
    """Return whether one more pair fits, as long as those before it were."""
    spent = time.monotonic() - began
    return spent + spent / done < seconds


def time_turn(model: Any, feed: Any, steps: int, warm_up: int) -> Turn:
    """Fit some steps after a warm-up, as `fit` does it; a feed starts anew with each turn."""
    clock = Clock()
    model.fit(feed, epochs=1, steps_per_epoch=warm_up + steps, callbacks=[clock], verbose=0)
    (wall, cpu), (wall_end, cpu_end) = clock.times[warm_up - 1], clock.times[-1]
    return Turn((wall_end - wall) / steps, (cpu_end - cpu) / steps)


class Clock(keras.callbacks.Callback):
    """Notes wall and CPU time, seconds, at the end of each step."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[tuple[float, float]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Note the time."""
        self.times.append((time.perf_counter(), time.process_time()))


def time_pipeline(stream: Any, count: int, turns: int = 3) -> float:
    """Return the CPU seconds of a batch of a stream that nothing else runs beside.

    The batches that were ready before the first was asked for are not counted.
    """
    batch = iter(stream)
    deque(islice(batch, max(count, READY)), maxlen=0)
    times = [time.process_time()]
    for _ in range(turns):
        deque(islice(batch, count), maxlen=0)
        times.append(time.process_time())
    return median(later - earlier for earlier, later in pairwise(times)) / count


def describe(done: Throughput) -> str:
    """Return the benchmark as a table in text."""
    lines = [
        f"{done.recipe}, batches of {done.batch_size}, on {done.machine}",
        "speed of a fit that the pipeline feeds, its teachers included, over one fed from memory",
        f"{'side':>4}  {'images/s':^17}  {'ratio (quartiles)':<22}  {'CPU ms a batch':^16}  by CPU",
        f"{'':>4}  {'memory':>8} {'pipeline':>8}  {'':<22}  {'step':>7} {'pipeline':>8}"
        "   time  pairs",
    ]
    for one in done.sides:
        low, high = one.quartiles
        lines.append(
            f"{one.side:>4}  {one.memory:>8.1f} {one.pipeline:>8.1f}  "
            f"{f'{one.ratio:.3f} ({low:.3f} to {high:.3f})':<22}  "
            f"{one.step_cpu_ms:>7.1f} {one.pipeline_cpu_ms:>8.1f}  {one.cpu_ratio:.3f}  {one.pairs}"
        )
    return "\n".join(lines)
