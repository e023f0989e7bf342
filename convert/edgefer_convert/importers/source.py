"""A float model to convert, wherever it comes from, and the protocol of an external one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from edgefer.errors import ConversionError
from edgefer.labels import check_labels
from edgefer.manifest import Evidence
from edgefer.metrics import Logits
from edgefer.preprocess import Pixels
from edgefer_convert.formats.representative import FloatImages

Converter = Callable[[Mapping[str, bytes]], bytes]
"""Makes the file of one format from the files made so far, by format."""

ImageSource = Callable[[], FloatImages]
"""Returns the representative images, read when the first format needs them."""

POST_TRAINING = "post-training, ranges from representative images of Training"
GIVEN_IMAGES = "post-training, ranges, where a format has any, from images that were given"
"""How int8 got its scales without quantization-aware training."""

PIXEL_RANGES = {"0..1": (1.0, 0.0), "-1..1": (2.0, -1.0), "0..255": (255.0, 0.0)}
"""The range in which a model was trained to see black..white, as scale and offset of our 0..1."""


@dataclass(frozen=True)
class Source:
    """A float model, its converters and all that is known of it unmeasured."""

    name: str
    heads: Mapping[str, tuple[str, ...]]
    """Labels by label set, in the order of the model's outputs, each as the dataset has them."""
    only: str
    """Label set of the head that files of one output take."""
    side: int
    """Of the model's input, pixels."""
    evidence: Evidence
    """Without scores."""
    licences: Mapping[str, str]
    logits: Callable[[Pixels], Logits]
    """The float model: logits (N, labels of all heads) of face crops uint8 (N, side, side)."""
    converters: Mapping[str, Converter]
    """By format; the formats that one requires are made before it."""

    def __post_init__(self) -> None:
        for labels in self.heads.values():
            check_labels(labels, self.name)


class ExternalModel(Protocol):
    """A float model made elsewhere, adapted: grey 0..1 (1, side, side, 1) in, logits out."""

    path: Path
    architecture: str
    side: int
    """Of the input, pixels."""
    outputs: int

    def reordered(self, order: Sequence[int]) -> ExternalModel:
        """Return the model with its outputs in another order, `order[0]` first."""
        ...

    def onnx(self) -> bytes:
        """Return the model as a float ONNX file."""
        ...

    def logits(self, images: Pixels) -> Logits:
        """Return logits (N, outputs) of face crops uint8 (N, side, side)."""
        ...

    def converters(self, images: ImageSource) -> dict[str, Converter]:
        """Return the converter to each format, by representative images where it needs them."""
        ...


def require_finite(path: Path, values: Iterable[np.ndarray]) -> None:
    """Raise `ConversionError` when a model's weights or logits are no numbers."""
    if not all(np.isfinite(one).all() for one in values):
        raise ConversionError(
            f"{path}: its weights or outputs are not finite: its training diverged; train it again "
            "with a lower learning rate"
        )


def input_side(path: Path, shape: Sequence[int | str | None]) -> int:
    """Return the side, pixels, of a model's input (height, width, channels).

    Raises `ConversionError` unless it is square, of fixed size, grey or RGB.
    """
    sides = [side for side in shape if isinstance(side, int) and side > 0]
    expected = ""
    if len(sides) != len(shape):
        expected = "an input of fixed size"
    elif len(sides) != 3 or sides[0] != sides[1]:
        expected = "a square input"
    elif sides[2] not in (1, 3):
        expected = "a grey or RGB input"
    if expected:
        got = "x".join(str(side or "?") for side in shape)
        raise ConversionError(f"{path}: expected {expected}, got {got}")
    return sides[0]
