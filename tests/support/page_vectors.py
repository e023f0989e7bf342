"""Vectors that the phone's page must reproduce.

`tools/write_page_vectors.py` writes them to FILE; tests/device/page/test_arithmetic.py compares
that with the Python code and, through node, with the page's. Images are made of numbers that both
sides generate.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.affine import Affine
from edgefer.bundle import open_bundle
from edgefer.labels import FER2013
from edgefer.messages import Box, Detection
from edgefer.metrics import softmax
from edgefer.preprocess import PIXEL, Pixels, Preprocess, to_grey
from edgefer_device.cameras.camera import Frame
from edgefer_device.export.contract import contract_of
from edgefer_device.faces.blazeface import FULL, BlazeFace, InputSquare, _turns, around
from edgefer_device.faces.motion import Motion
from edgefer_device.faces.quality import QualitySettings, lightened, rejection_reason, sharpness
from edgefer_device.faces.search import FaceSearch, smallest_tiles
from edgefer_device.faces.tracker import Tracker, TrackingSettings
from edgefer_device.mood.filter import Mood, MoodSettings
from edgefer_device.pipeline.analyzer import FrameAnalyzer
from support.bundles import manifest
from support.scripted import EveryFrame, ScriptedClassifier, ScriptedDetector

FILE = Path(__file__).parents[1] / "device" / "page" / "vectors.json"

SHRUNK = [
    (640, 480, 192, 144), (480, 640, 144, 192), (640, 360, 192, 108), (1280, 720, 192, 108),
    (640, 480, 40, 30), (480, 640, 40, 30), (96, 96, 48, 48), (80, 60, 40, 30),
]  # fmt: skip
"""Widths and heights, whole factors and others."""
SIDES = (20, 28, 33, 47, 48, 49, 61, 96, 100, 141, 144, 211)
BOXES = [
    (30.2, 20.7, 60.0, 60.0),
    (-11.5, 40.5, 70.3, 71.7),
    (100.0, 70.0, 90.0, 90.0),
    (5.5, 6.5, 31.0, 30.0),
]
HAPPY, SAD, TORN = (
    [0.02, 0.01, 0.02, 0.9, 0.02, 0.01, 0.02],
    [0.02, 0.01, 0.02, 0.03, 0.85, 0.02, 0.05],
    [0.15, 0.15, 0.14, 0.14, 0.14, 0.14, 0.14],
)


def noise(
    seed: int, width: int, height: int, channels: int = 3, low: int = 0, high: int = 255
) -> Pixels:
    """Return the picture (H, W) or (H, W, channels), RGB, that the page's tests make of a seed."""
    count = np.arange(width * height * channels, dtype=np.uint64)
    value = ((count + np.uint64(seed * 7919)) * np.uint64(2654435761)) & np.uint64(0xFFFFFFFF)
    value ^= value >> np.uint64(15)
    value = (value * np.uint64(2246822519)) & np.uint64(0xFFFFFFFF)
    value ^= value >> np.uint64(13)
    levels = low + ((value >> np.uint64(16)) % np.uint64(high - low + 1)).astype(np.int64)
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.asarray(levels.astype(np.uint8).reshape(shape))


def bgr(rgb: Pixels) -> Pixels:
    """Return an RGB picture as the device has it."""
    return np.ascontiguousarray(rgb[..., ::-1])


def vectors() -> dict[str, Any]:
    """Return all of them."""
    return {
        "contract": contract_of(open_bundle("small").manifest, {}),
        "grey": _grey(), "shrink": _shrink(), "face_crop": _chip(), "letterbox": _letterboxes(),
        "outside": _outside(),
        "tiles": _tiles(), "search": _search(),
        "counts": _counts(), "softmax": _softmax(), "decoded": _decoded(), "quality": _quality(),
        "motion": _motion(), "turn": _turn(), "mood": _mood(), "analysis": _analysis(),
    }  # fmt: skip


def digest(values: Pixels) -> str:
    """Return a picture's bytes as their sha256 in base64."""
    content = np.ascontiguousarray(values).tobytes()
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _grey() -> list[dict[str, Any]]:
    return [
        {
            "seed": seed,
            "width": 50,
            "height": 40,
            "wanted": digest(to_grey(bgr(noise(seed, 50, 40)))),
        }
        for seed in (1, 2)
    ]


def _shrink() -> list[dict[str, Any]]:
    def one(seed: int, width: int, height: int, to_width: int, to_height: int) -> dict[str, Any]:
        small = cv2.resize(
            noise(seed, width, height), (to_width, to_height), interpolation=cv2.INTER_AREA
        )
        size = {"width": width, "height": height, "to_width": to_width, "to_height": to_height}
        return {"seed": seed, **size, "wanted": digest(np.asarray(small, np.uint8))}

    return [one(seed, *size) for seed, size in enumerate(SHRUNK)]


def _chip() -> list[dict[str, Any]]:
    def one(seed: int, box: tuple[float, ...], margin: float) -> dict[str, Any]:
        picture = to_grey(bgr(noise(seed, 160, 120)))
        crop = Preprocess(margin=margin).crop(picture, Box(*box))
        return {
            "seed": seed,
            "width": 160,
            "height": 120,
            "box": box,
            "margin": margin,
            "wanted": digest(crop),
        }

    squares = [(3.0, 2.0, float(side), float(side)) for side in SIDES]
    return [one(seed, box, 0.0) for seed, box in enumerate(squares + BOXES)] + [
        one(9, BOXES[0], 0.1)
    ]


def _letterboxes() -> list[dict[str, Any]]:
    def one(seed: int, width: int, height: int, place: Box | None = None) -> dict[str, Any]:
        image = bgr(noise(seed, width, height))
        place = place or around(image)
        reals = InputSquare(FULL.size).fill(image, place)
        levels = np.round((reals + 1) * 127.5).astype(np.uint8)
        size = {"seed": seed, "width": width, "height": height, "place": place}
        return {**size, "wanted": digest(levels)}

    whole = [(640, 480), (300, 400), (192, 192), (960, 540), (1280, 720), (321, 241), (120, 90)]
    parts = [Box(-40, 64, 400, 400), Box(288, 128, 352, 352), Box(600, 440, 72, 72)]
    padded = Box(-160, -240, 960, 960)
    return [one(seed, *size) for seed, size in enumerate(whole, 3)] + [
        one(seed, 640, 480, place) for seed, place in enumerate([*parts, padded], 3)
    ]


class _Counted(BlazeFace):
    """Sees nothing, and counts how often it was run."""

    def __init__(self) -> None:
        self.runs = 0
        self._square = InputSquare(FULL.size)
        self._model = self
        self._view = lambda: np.zeros((1, FULL.size, FULL.size, 3), np.float32)
        self._scores = lambda: np.full((1, 4, 1), -9, np.float32)

    def invoke(self) -> None:
        """Run."""
        self.runs += 1


def _outside() -> list[dict[str, Any]]:
    """Return squares at each edge of a frame, the last ones wholly outside, and which are seen."""
    width, height, side = 640, 480, 64
    lefts = [-side - 8, -side, 8 - side, 288, width - 8, width, width + 8]
    tops = [-side - 200, -side, 8 - side, 208, height - 8, height, height + 200]
    found = []
    for place in (Box(left, top, side, side) for left in lefts for top in tops):
        model = _Counted()
        assert model.look(bgr(noise(1, width, height)), place) == []
        found.append({"width": width, "height": height, "place": place, "wanted": model.runs})
    return found


def _tiles() -> list[dict[str, Any]]:
    sizes = [(640, 480), (640, 360), (480, 640), (1280, 720), (480, 360), (320, 240), (1000, 300)]
    return [
        {
            "width": width,
            "height": height,
            "wanted": smallest_tiles(np.zeros((height, width, 3), np.uint8)),
        }
        for width, height in sizes
    ]


class _Looked(BlazeFace):
    """Answers as it was told, and keeps where it was made to look."""

    def __init__(self, name: str, looked: list[Any], answers: dict[str, Any]) -> None:
        self._name, self._looked, self._answers = name, looked, answers

    def look(self, image: Pixels, square: Box) -> list[Detection]:
        """Return the next answer."""
        self._looked.append([self._name, square])
        left = self._answers.get(self._name, [])
        return list(left.pop(0)) if left else []


def _search() -> dict[str, Any]:
    """Return frames of a video: what is known, what each look finds, where is looked, the faces."""
    there = Detection(Box(100.5, 80.25, 90.0, 90.0), 0.9, 0.1)
    moved = Detection(Box(104.5, 82.25, 88.0, 88.0), 0.8, 0.1)
    faint = Detection(Box(400.0, 300.0, 60.0, 60.0), 0.55, 0.0)
    tiny = Detection(Box(30.0, 30.0, 24.0, 24.0), 0.75, 0.0)
    row = [
        Detection(Box(20.0 + 130 * at, 200.0, 80.0, 80.0), 0.9 - at / 100, 0.0) for at in range(4)
    ]
    faint_last = msgspec.structs.replace(row[3], score=0.6)
    script: list[tuple[list[Detection], bool, dict[str, list[list[Detection]]]]] = [
        ([], True, {}),
        ([], True, {"far": [[faint], [tiny, there]]}),
        ([], True, {"far": [[faint]], "near": [[there]]}),
        ([], True, {"far": [[there]]}),
        ([there], False, {"near": [[moved]]}),
        ([there], True, {"near": [[moved]], "far": [[there, faint]]}),
        ([there], True, {"near": [[moved]], "far": [[there], [tiny]]}),
        ([there, tiny], False, {"near": [[moved], []], "far": [[there]]}),
        (row, True, {"far": [row[:3]], "near": [[row[3]]]}),
        (row, False, {"far": [[*row[:3], faint_last]], "near": [[row[3]]]}),
    ]
    looked: list[Any] = []
    answers: dict[str, Any] = {}
    search = FaceSearch(*(_Looked(name, looked, answers) for name in ("far", "near")))
    steps = []
    for known, wide, given in script:
        looked.clear()
        answers.update({"far": [], "near": []} | {name: list(one) for name, one in given.items()})
        boxes = [face.box for face in known]
        faces = search.watch(bgr(noise(1, 640, 480)), boxes, wide)
        said = {"known": boxes, "search": wide, "answers": given, "looked": list(looked)}
        steps.append({**said, "wanted": faces})
    return {"width": 640, "height": 480, "steps": steps}


def _counts() -> list[dict[str, Any]]:
    affines = [open_bundle("small").manifest.input.affine, Affine(0.0079, -3), PIXEL]
    return [
        {
            "scale": one.scale,
            "zero_point": one.zero_point,
            "wanted": one.quantize(np.arange(256) * PIXEL.scale).tolist(),
        }
        for one in affines
    ]


def _softmax() -> list[dict[str, Any]]:
    def one(counts: list[int], temperature: float) -> dict[str, Any]:
        output = open_bundle("small").manifest.heads[0].affine
        logits = output.dequantize(np.array([counts], np.int8))
        wanted = softmax(logits, temperature)[0].tolist()
        return {
            "counts": counts,
            "scale": output.scale,
            "zero_point": output.zero_point,
            "temperature": temperature,
            "wanted": wanted,
        }

    rows = noise(6, 7, 6, 1).astype(int) - 128
    return [
        one(row.tolist(), temperature)
        for row, temperature in zip(rows, (0.9013, 1, 1.3, 2, 0.5, 1.1), strict=True)
    ]


def _decoded() -> list[dict[str, Any]]:
    """Return the logits of both heads, and what each label set makes of them."""
    shipped = open_bundle("small").manifest
    heads = (noise(9, 15, 3, 1).astype(np.float32) - 128) / 16

    def one(label_set: str, row: NDArray[np.float32]) -> dict[str, Any]:
        decoder = shipped.decoder(label_set)
        return {
            "heads": row.tolist(),
            "terms": decoder.terms,
            "temperature": decoder.calibration.temperature,
            "wanted": decoder.probabilities(row[np.newaxis])[0].tolist(),
        }

    return [one(label_set, row) for label_set in shipped.calibrations for row in heads]


def _quality() -> list[dict[str, Any]]:
    def one(
        crop: Pixels, given: dict[str, Any], side: float = 60, turn: float | None = 0.1
    ) -> dict[str, Any]:
        reason = rejection_reason(crop, side, turn, QualitySettings())
        return {
            **given,
            "side": side,
            "turn": turn,
            "sharpness": sharpness(crop),
            "wanted": reason,
            "read": base64.b64encode(lightened(crop).tobytes()).decode(),
        }

    def made(low: int, high: int, blur: float = 0) -> tuple[Pixels, dict[str, Any]]:
        grain = noise(7, 48, 48, 1, low, high)
        crop = np.asarray(cv2.GaussianBlur(grain, (0, 0), blur), np.uint8) if blur else grain
        return crop, {"face_crop": base64.b64encode(crop.tobytes()).decode()}

    plain = made(40, 200)
    return [
        one(*plain), one(*plain, side=27.9), one(*plain, turn=-0.41), one(*plain, turn=None),
        one(*made(0, 40)), one(*made(247, 255)), one(*made(40, 200, 8)), one(*made(90, 140)),
    ]  # fmt: skip


def _motion() -> list[dict[str, Any]]:
    """Return frames, the faces known in them, and whether they have moved."""
    lit, dark = Box(60.5, 40.0, 90.0, 90.0), Box(400.0, 300.0, 80.0, 80.0)
    script: list[tuple[int, int, list[Box]]] = [
        (1, 0, []), (1, 5, []), (1, 9, []), (2, 0, []), (2, 0, []),
        (2, 2, [lit]), (2, 4, [dark, lit]), (2, 90, [dark]), (2, 0, [dark, lit]),
        (3, 0, [dark]), (3, 0, [Box(-30, -30, 20, 20), Box(900, 500, 20, 20)]),
    ]  # fmt: skip
    motion, found = Motion(), []
    for seed, step, faces in script:
        picture = noise(seed, 640, 480)
        picture[:200, :200] = np.clip(picture[:200, :200].astype(int) + step, 0, 255)
        moved = motion.moved(bgr(picture), faces)
        motion.mark()
        found.append({"seed": seed, "step": step, "faces": faces, "wanted": moved})
    return found


def _turn() -> list[dict[str, Any]]:
    points = noise(8, 6, 4, 1).astype(np.float32) / 3
    return [{"points": row.tolist(), "wanted": float(_turns(row[np.newaxis])[0])} for row in points]


def _threshold() -> float:
    return open_bundle("small").manifest.decoder().calibration.threshold


def _mood() -> list[dict[str, Any]]:
    """Return a face over ten seconds: what is read of it, and what is said."""
    mood, said = Mood(FER2013, MoodSettings(), _threshold()), []
    held = [
        (HAPPY, 20),
        (SAD, 4),
        (HAPPY, 8),
        (SAD, 30),
        (TORN, 40),
        ("dark", 12),
        ("turned", 3),
        (HAPPY, 20),
        (SAD, 6),
        (TORN, 10),
    ]
    for step, reading in enumerate(reading for reading, count in held for _ in range(count)):
        time = round(3 + step / 15, 4)
        if isinstance(reading, str):
            mood.miss(reading, time)
        else:
            mood.update(np.array(reading, np.float64), time)
        said.append(
            {"time": time, "reading": reading, "wanted": [mood.label, mood.reason, mood.confidence]}
        )
    return said


def _analysis() -> list[dict[str, Any]]:
    """Return frames with scripted faces and answers, and what is reported of each."""
    faces = _scripted_faces()
    rows = [HAPPY] * 14 + [SAD] * 16 + [TORN] * 3
    classifier = EveryFrame(ScriptedClassifier(rows), manifest(), manifest().decoder())
    detector = ScriptedDetector(faces)
    settings = MoodSettings(threshold=_threshold())
    analyzer = FrameAnalyzer(detector, classifier, Tracker(TrackingSettings()), settings)
    found = []
    for number in range(len(faces)):
        # A pause of three seconds is in it, after which whoever is there may be somebody else.
        time = round(number / 12 + (3 if number > 50 else 0), 4)
        before = detector.calls
        report = analyzer.process(Frame(bgr(_scene(number)), time, number))
        wanted = [
            len(report.faces),
            report.mood,
            report.reason,
            report.confidence,
            detector.calls - before,
        ]
        found.append({"time": time, "seed": number // 4, "wanted": wanted})
    detections = [
        [[*msgspec.structs.astuple(face.box), face.score, face.turn] for face in seen]
        for seen in faces
    ]
    return [{"detections": detections, "rows": rows, "frames": found}]


def _scene(number: int) -> Pixels:
    return noise(number // 4, 320, 240, 3, 40, 220)


def _scripted_faces() -> list[list[Detection]]:
    """Return faces, a list for each look: two people who drift, one turns, and what is none."""
    script = []
    for at in range(60):
        faces = [Detection(Box(60 + at, 50, 90, 90), 0.9, 0.05)]
        if 10 < at < 30:
            faces.append(Detection(Box(190 - at / 2, 60, 80.5, 79), 0.72 + (at % 3) / 20, -0.1))
        if at % 7 == 0:
            faces.append(Detection(Box(10, 180, 40, 40), 0.55, None))
        if 20 < at < 26:
            faces[0] = Detection(Box(60 + at, 50, 90, 90), 0.6, 0.6)
        if 33 < at < 36:
            faces = []
        script.append(faces)
    return script
