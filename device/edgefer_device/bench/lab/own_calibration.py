"""`edgefer dev calibration`: what a household's own calibration gains, and what it costs others.

How far people differ is taken from the clips: each part of a second or more in which one label
leads has a mean log-probability, and its distance from that of PublicTest's faces with the same
label is what its person adds. A drawn person has a bias for each label and one temperature, drawn
from the spread of these; poses of one person count as differences between people too, and there are
few clips, so that the spread is rough. A person's look is a face of PublicTest of that label, held
with the clips' noise (`readings.py`), and other faces are what the person shows later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.bundle import open_bundle
from edgefer.console import track
from edgefer.errors import SettingsError
from edgefer.heads import VectorScaling, log_probabilities
from edgefer.labels import FER2013
from edgefer.machine import machine
from edgefer_device.bench.lab.readings import (
    FRAME,
    LEAST,
    DrawnFaces,
    Reading,
    noise_of,
    parts_of,
    read_clips,
)
from edgefer_device.bench.labelled_faces import read_part
from edgefer_device.daemon.configuration import Config
from edgefer_device.mood.own_calibration import Look, fit
from edgefer_device.pipeline.analyzer import FaceClassifier
from edgefer_device.sinks.enrollment import USUAL

SECONDS = 5.0
"""For which each look is held."""
TIMES = 1, 2
"""How often the clips' spread: people from a handful of clips are no extremes."""
SHOWN = 60
"""Faces that each person shows later."""
BETWEEN = 5
"""Frames on either side of a change that belong to neither look."""
SMILE = "single_face.mp4"
"""The one clip whose expressions are known: neutral, then smiling."""


@dataclass(frozen=True, slots=True)
class OwnCalibrationRequest:
    """What `edgefer dev calibration` measures."""

    data: Path
    """Folder with FER2013 and `clips`."""
    model: str | None = None
    people: int = 200
    seed: int = 1


class Effect(msgspec.Struct, frozen=True):
    """Readings of faces without and with a calibration."""

    who: str
    frames: int
    kept: float
    """Share of the calibrations that helped the frames held back, and were kept, 0..1."""
    accuracy: tuple[float, float]
    """0..1."""
    log_loss: tuple[float, float]
    """Nats."""


class OwnCalibrationResult(msgspec.Struct, frozen=True):
    """The JSON of `edgefer dev calibration`."""

    machine: str
    model: str
    parts: int
    """Of clips, from which the spread between people is taken."""
    bias_spread: float
    temperature_spread: float
    """Of the logarithm of a person's temperature."""
    people: int
    effects: tuple[Effect, ...]


def measure(request: OwnCalibrationRequest) -> OwnCalibrationResult:
    """Measure it; raises an `EdgeferError` for what cannot be read or opened."""
    cv2.setNumThreads(1)
    bundle = open_bundle(request.model or Config().model)
    classifier = FaceClassifier.open(bundle)
    if classifier.labels != FER2013:
        raise SettingsError(f"{bundle.path}: expected a model of FER2013's labels")
    clips = read_clips(request.data, (), classifier)
    noise = [part for rows in clips.values() for part in noise_of(rows, classifier.labels)]
    faces = DrawnFaces(read_part(request.data, "PublicTest"), classifier, noise, request.seed)
    bias, temperature, parts = spread_between(clips, classifier.labels, faces)
    effects: list[Effect] = []
    for times in TIMES:
        spread = (times * bias, times * temperature)
        effects += drawn_people(faces, request, spread, f"{times}x")
    smile = _smile(clips.get(SMILE, []), classifier.labels)
    return OwnCalibrationResult(
        machine=machine(),
        model=bundle.manifest.name,
        parts=parts,
        bias_spread=bias,
        temperature_spread=temperature,
        people=request.people,
        effects=(*effects, *smile),
    )


def spread_between(
    clips: Mapping[str, Sequence[Reading]], labels: tuple[str, ...], faces: DrawnFaces
) -> tuple[float, float, int]:
    """Return the spread of biases and of log temperatures between the clips' parts, and their
    number."""
    still = faces.logs
    leads = still.argmax(1)
    biases, temperatures = [], []
    for rows in clips.values():
        for label, part in parts_of(rows, labels):
            own, usual = (logs.mean(0) - logs.mean() for logs in (part, still[leads == label]))
            temperature = np.sqrt((usual**2).mean() / (own**2).mean())
            biases.append(own * temperature - usual)
            temperatures.append(np.log(temperature))
    return float(np.std(biases)), float(np.std(temperatures)), len(biases)


def drawn_people(
    faces: DrawnFaces, request: OwnCalibrationRequest, spread: tuple[float, float], name: str
) -> Iterator[Effect]:
    """Yield what enrollments do to who enrolled, and to somebody else.

    `spread` is of biases and log temperatures.
    """
    random, kept = np.random.default_rng(request.seed), 0
    shown: dict[str, list[tuple[NDArray[np.float32], NDArray[np.float32], int]]] = {}
    for _ in track(range(request.people), "people"):
        own, other = (_person(random, *spread) for _ in range(2))
        asked = [FER2013.index(label) for label in USUAL]
        held = (faces.held(faces.pick_of(label), SECONDS) for label in asked)
        found = fit([Look(one, own.apply(rows)) for one, rows in zip(asked, held, strict=True)])
        kept += found.helps
        for who, person in (("enrolled", own), ("another", other)):
            for row in (faces.pick_of() for _ in range(SHOWN)):
                before = person.apply(faces.held(row, FRAME))
                after = found.scaling.apply(before) if found.helps else before
                truth = FER2013.index(faces.label(row))
                shown.setdefault(who, []).append((before, after, truth))
    for who, readings in shown.items():
        first, second, truths = (np.array(one) for one in zip(*readings, strict=True))
        yield _effect(f"{who}, {name}", kept / request.people, first[:, 0], second[:, 0], truths)


def _person(random: np.random.Generator, bias: float, temperature: float) -> VectorScaling:
    scale = float(np.exp(random.normal(0, temperature)))
    biases = random.normal(0, bias, len(FER2013))
    return VectorScaling((scale,) * len(FER2013), tuple(map(float, biases)))


def _smile(rows: Sequence[Reading], labels: tuple[str, ...]) -> Iterator[Effect]:
    """Yield the effect on a real person: the first half of each look is enrolled."""
    read = np.array([list(one.probabilities.values()) for one in rows if one.probabilities])
    if len(read) < LEAST:
        return
    smiles = read.argmax(1) == labels.index("happy")
    # The change is where both sides differ most; the frames around it are in between.
    cut = int(np.argmax([smiles[at:].mean() - smiles[:at].mean() for at in range(1, len(read))]))
    sides = ("neutral", read[: max(0, cut - BETWEEN)]), ("happy", read[cut + BETWEEN :])
    if min(len(part) for _, part in sides) < 2 * BETWEEN:
        return
    looks, before, truth = [], [], []
    for label, part in sides:
        index, half = labels.index(label), len(part) // 2
        looks.append(Look(index, part[:half].astype(np.float32)))
        before.append(part[half:].astype(np.float32))
        truth += [index] * len(before[-1])
    found, rest = fit(looks), np.concatenate(before)
    after = found.scaling.apply(rest) if found.helps else rest
    yield _effect(SMILE, float(found.helps), rest, after, np.array(truth))


def _effect(
    who: str,
    kept: float,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    truth: NDArray[np.integer],
) -> Effect:
    both, at = (before, after), np.arange(len(truth))
    accuracy = [float((one.argmax(1) == truth).mean()) for one in both]
    losses = [float(-log_probabilities(one[at, truth]).mean()) for one in both]
    return Effect(who, len(truth), kept, (accuracy[0], accuracy[1]), (losses[0], losses[1]))


def describe(result: OwnCalibrationResult) -> Iterator[str]:
    """Yield the table, line by line."""
    yield f"{result.model}, on {result.machine}"
    yield (
        f"spread between people, in {result.parts} parts of clips: "
        f"biases {result.bias_spread:.2f}, log temperature {result.temperature_spread:.2f}"
    )
    yield f"{result.people} drawn people of that spread (1x) enrolled, and as many of twice that"
    yield f"{'':<16} {'frames':>7} {'kept':>6} {'accuracy':>20} {'log loss':>15}"
    for one in result.effects:
        accuracy = " -> ".join(f"{100 * share:.2f} %" for share in one.accuracy)
        losses = " -> ".join(f"{loss:.3f}" for loss in one.log_loss)
        yield f"{one.who:<16} {one.frames:>7} {one.kept:>6.0%} {accuracy:>20} {losses:>15}"
