"""The model and settings of the phone page: contract.json.

The values are those of the Python code, read from where they stand, so that the page's
JavaScript and the device go by one description.
"""

from __future__ import annotations

import msgspec

from edgefer.affine import Affine
from edgefer.heads import Decoder, Term
from edgefer.manifest import Manifest
from edgefer.preprocess import Preprocess
from edgefer_device.faces import motion, search
from edgefer_device.faces.blazeface import FULL, LOWEST, SAME_FACE, SHORT
from edgefer_device.faces.detector import BoxCalibration
from edgefer_device.faces.quality import FLAT, WHITE, QualitySettings
from edgefer_device.faces.tracker import FARTHEST, HIDDEN, TrackingSettings
from edgefer_device.mood.baseline import expected
from edgefer_device.mood.filter import (
    CORRELATION,
    INERTIA,
    KNOWN_INERTIA,
    OUTLIERS,
    REASON_SECONDS,
    UNKNOWN_PRIOR,
    UNREADABLE,
    MoodSettings,
)
from edgefer_device.pipeline.analyzer import GAP_SECONDS
from edgefer_device.pipeline.frame_rate import FrameRateSettings

FILES = {name: f"{name}.bin" for name in ("runtime", "classifier", "far", "near")}
"""The heavy files, packed by gzip. Not named .gz: servers would send Content-Encoding,
the browser unpack them, and the page unpack them again."""


class Motion(msgspec.Struct, frozen=True):
    """How `motion.Motion` compares."""

    width: int = motion.SIZE[0]
    height: int = motion.SIZE[1]
    enough: int = motion.ENOUGH
    levels: float = motion.LEVELS
    change: float = motion.CHANGE


class MoodFilter(msgspec.Struct, frozen=True):
    """How `filter.Mood` filters."""

    prior: tuple[float, ...]
    """Of each label."""
    threshold: float
    seconds: float = MoodSettings().seconds
    correlation: float = CORRELATION
    outliers: float = OUTLIERS
    unreadable: float = UNREADABLE
    inertia: float = INERTIA
    known_inertia: float = KNOWN_INERTIA
    unknown: float = UNKNOWN_PRIOR
    """Prior of `unknown`."""
    hold: float = REASON_SECONDS
    """Seconds for which a reason holds."""


class Detector(msgspec.Struct, frozen=True):
    """How the output of one of BlazeFace's models is decoded."""

    size: int
    grids: tuple[tuple[int, int], ...]
    calibration: BoxCalibration
    lowest: float = LOWEST
    same_face: float = SAME_FACE


class Search(msgspec.Struct, frozen=True):
    """How `search.FaceSearch` looks for faces in a video."""

    sure: float = search.SURE
    padded: float = search.PADDED
    tile: float = search.TILE
    levels: int = search.LEVELS
    eager: int = search.EAGER
    overlap: float = search.OVERLAP
    least_tile: int = search.LEAST_TILE
    small: float = search.SMALL
    around: float = search.AROUND
    few: int = search.FEW
    step: int = search.STEP
    inside: float = search.INSIDE
    same_face: float = SAME_FACE


class Tracking(TrackingSettings, frozen=True):
    """How `tracker.Tracker` follows faces."""

    hidden: float = HIDDEN
    farthest: float = FARTHEST


class Contract(msgspec.Struct, frozen=True):
    """The whole of contract.json; contract.js declares the same."""

    model: str
    labels: tuple[str, ...]
    preprocess: Preprocess
    input: Affine
    outputs: tuple[Affine, ...]
    """Of the model's heads."""
    terms: tuple[Term, ...]
    """How their logits make those of `labels`."""
    temperature: float
    languages: dict[str, str]
    """Their own names, by code."""
    mood: MoodFilter
    tracking: Tracking = Tracking()
    quality: QualitySettings = QualitySettings()
    frame_rate: FrameRateSettings = FrameRateSettings()
    white: int = WHITE
    flat: float = FLAT
    motion: Motion = Motion()
    gap: float = GAP_SECONDS
    far: Detector = Detector(FULL.size, FULL.grids, FULL.calibration)
    near: Detector = Detector(SHORT.size, SHORT.grids, SHORT.calibration)
    search: Search = Search()
    files: dict[str, str] = msgspec.field(default_factory=FILES.copy)


def mood_filter(decoder: Decoder) -> MoodFilter:
    """Return the default filter for a model's labels."""
    prior = expected(decoder.labels, MoodSettings().prior)
    return MoodFilter(tuple(prior.tolist()), decoder.calibration.threshold)


def contract_of(manifest: Manifest, languages: dict[str, str]) -> Contract:
    """Return the contract of a bundle's int8 model."""
    decoder = manifest.decoder(format="int8")
    return Contract(
        model=manifest.name,
        labels=decoder.labels,
        preprocess=manifest.input.preprocess,
        input=manifest.input.affine,
        outputs=tuple(head.affine for head in manifest.heads_of("int8")),
        terms=decoder.terms,
        temperature=decoder.calibration.temperature,
        languages=languages,
        mood=mood_filter(decoder),
    )
