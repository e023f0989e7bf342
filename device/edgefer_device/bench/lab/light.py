"""`edgefer dev light`: what the light of a hall costs, and what brings it back.

The marked faces of photographs are looked for, and FER2013's faces are read, in less light with a
sensor's noise, against the light (dark beneath a veil), and in the bands that lamps make on a
rolling shutter. Each face is read as it is and with its grey levels normalized in three ways.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.bundle import Bundle, open_bundle
from edgefer.console import track
from edgefer.labels import FER2013
from edgefer.machine import machine
from edgefer.preprocess import Pixels
from edgefer.runtime import choose, open_classifier
from edgefer_device.bench.lab.face_sizes import grainy, known_faces
from edgefer_device.bench.labelled_faces import read_part, read_photos
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.quality import QualitySettings, rejection_reason, stretched

VEIL = 60.0
"""Grey levels that light from behind adds."""
BANDS, DEPTH = 2.5, 0.5
"""Bands of a lamp in a picture's height, and how far the light falls between them."""
UNREAD = 60.0
"""Side that a face is taken to have in its frame, pixels: none is too small."""

Levels = NDArray[np.floating]
Light = Callable[[Levels], Levels]


def _banded(image: Levels) -> Levels:
    phase = np.linspace(0, 2 * np.pi * BANDS, len(image), dtype=np.float32)
    light = 1 - DEPTH / 2 * (1 - np.cos(phase))
    return image * light.reshape(-1, *[1] * (image.ndim - 1))


LIGHTS: Mapping[str, Light] = {
    "as it is": lambda image: image,
    "x0.3": lambda image: image * 0.3,
    "x0.2": lambda image: image * 0.2,
    "x0.15": lambda image: image * 0.15,
    "x0.1": lambda image: image * 0.1,
    "back light": lambda image: image * 0.2 + VEIL,
    "bands": _banded,
    "bands, x0.2": lambda image: _banded(image) * 0.2,
}


def lit(image: Pixels, light: Light) -> Pixels:
    """Return an image in a light, with a sensor's noise."""
    changed = np.asarray(np.clip(light(image.astype(np.float32)), 0, 255), np.uint8)
    return grainy(changed, np.random.default_rng(0))


def curved(crop: Pixels) -> Pixels:
    """Return a face crop whose mean a gamma curve brings to middle grey."""
    share = min(max(cv2.mean(crop)[0], 1.0), 254.0) / 255
    levels = 255 * (np.arange(256) / 255) ** (math.log(0.5) / math.log(share))
    return np.asarray(cv2.LUT(crop, np.rint(levels).astype(np.uint8)), np.uint8)


def equalized(crop: Pixels) -> Pixels:
    """Return a face crop equalized by contrast-limited tiles (CLAHE; Zuiderveld 1994)."""
    return np.asarray(cv2.createCLAHE(2.0, (4, 4)).apply(crop), np.uint8)


NORMALIZED: Mapping[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda crop: crop,
    "stretched": stretched,
    "gamma": curved,
    "CLAHE": equalized,
}


@dataclass(frozen=True, slots=True)
class LightRequest:
    """What `edgefer dev light` measures."""

    data: Path
    """Folder with FER2013 and `photos`."""
    model: str | None = None
    count: int = 500
    """Faces of PublicTest."""


class Lit(msgspec.Struct, frozen=True):
    """Faces in one light."""

    light: str
    found: int
    reasons: dict[str, int]
    """Faces of FER2013 that a device does not read, by reason."""
    right: dict[str, int]
    """Faces that are read right all the same, by how they were normalized."""


class LightResult(msgspec.Struct, frozen=True):
    """The JSON of `edgefer dev light`."""

    machine: str
    marked: int
    """Faces of the photographs."""
    faces: int
    """Of FER2013."""
    lights: tuple[Lit, ...]


def measure(request: LightRequest) -> LightResult:
    """Measure each light; raises an `EdgeferError` for what cannot be read or opened."""
    cv2.setNumThreads(1)
    photos, detector = read_photos(request.data / "photos"), open_detector()
    bundle = open_bundle(request.model or "small")
    read = _reader(bundle)
    faces = read_part(request.data, "PublicTest", request.count)
    resize = bundle.manifest.input.preprocess.resize
    wanted = [FER2013[label] for label in faces.labels]
    found = []
    for name, light in track(list(LIGHTS.items()), "lights"):
        seen = 0
        for photo in photos:
            boxes = [face.box for face in detector.detect(lit(photo.image, light))]
            seen += known_faces(photo, boxes)
        crops = [resize(lit(face, light)) for face in faces.images]
        reject = partial(rejection_reason, side=UNREAD, turn=None, settings=QualitySettings())
        reasons = Counter(reason for reason in map(reject, crops) if reason)
        right = {
            how: _right(read(list(map(change, crops))), wanted)
            for how, change in NORMALIZED.items()
        }
        found.append(Lit(name, seen, dict(reasons), right))
    marked = sum(len(photo.boxes) for photo in photos)
    return LightResult(machine(), marked, len(wanted), tuple(found))


def _reader(bundle: Bundle) -> Callable[[list[Pixels]], list[str]]:
    """Return what names the likeliest label of face crops, as they are."""
    format = choose(bundle, None)
    classifier, decoder = open_classifier(bundle, format), bundle.manifest.decoder(format=format)

    def read(crops: list[Pixels]) -> list[str]:
        rows = decoder.probabilities(classifier.logits(np.stack(crops))).argmax(1)
        return [decoder.labels[row] for row in rows]

    return read


def _right(found: list[str], wanted: list[str]) -> int:
    return sum(one == other for one, other in zip(found, wanted, strict=True))


def describe(result: LightResult) -> Iterator[str]:
    """Yield the table, line by line."""
    yield (
        f"of {result.marked} faces of photographs found; of {result.faces} of FER2013 not read, "
        f"and read right by how they are normalized, {result.machine}"
    )
    yield f"{'light':12}{'found':>6}  {'not read':18}" + "".join(f"{n:>11}" for n in NORMALIZED)
    for one in result.lights:
        why = ", ".join(
            f"{reason} {100 * count / result.faces:.0f} %" for reason, count in one.reasons.items()
        )
        cells = "".join(f"{100 * one.right[how] / result.faces:>9.1f} %" for how in NORMALIZED)
        yield f"{one.light:12}{one.found:>6}  {why or 'none':18}{cells}"
