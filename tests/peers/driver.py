"""One package under test, in a process and an environment of its own.

    python driver.py ADAPTER.py '{"option": "of the adapter"}'

An adapter has a class `Adapter` with `look(picture, time)`, the package's own way from a BGR
picture to the label of its first face, and `read(face)`, that from a grey FER2013 picture (48,
48) to one of FER2013's labels. A question is a line of JSON on stdin, an answer one on stdout.
Nothing but NumPy and OpenCV is imported here: that is all that the environments share.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BEGAN = time.perf_counter()


class Subject:
    """An adapter, and what is asked of it."""

    def __init__(self, path: str, options: dict[str, Any]) -> None:
        self._adapter = runpy.run_path(path)["Adapter"](**options)
        self._clips: dict[str, Iterator[tuple[Any, float]]] = {}

    def clip(self, path: str, frames: int) -> dict[str, Any]:
        """Look at so many more frames of a clip that begins again at its end."""
        pictures = self._clips.setdefault(path, looped(path))
        walls, found, cpu = [], 0, time.process_time()
        for _ in range(frames):
            begun = time.perf_counter()
            found += self._adapter.look(*next(pictures)) is not None
            walls.append(1e3 * (time.perf_counter() - begun))
        return {"walls": walls, "found": found, "cpu": time.process_time() - cpu}

    def first(self, path: str) -> dict[str, Any]:
        """Look at a clip until a face is answered for: how long that takes from nothing."""
        for picture, at in looped(path):
            if self._adapter.look(picture, at) is not None:
                break
        return {"wall": time.perf_counter() - BEGAN, "cpu": time.process_time()}

    def faces(self, path: str, rows: list[int]) -> dict[str, Any]:
        """Read pictures of `fer2013.npz`."""
        import numpy as np

        with np.load(path) as arrays:
            images = arrays["images"][rows]
        begun, cpu = time.perf_counter(), time.process_time()
        said = [self._adapter.read(image) for image in images]
        spent = time.process_time() - cpu
        return {"said": said, "wall": time.perf_counter() - begun, "cpu": spent}

    def memory(self) -> dict[str, Any]:
        """Tell the most memory that the process has held, million bytes."""
        lines = Path("/proc/self/status").read_text().splitlines()
        held = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
        return {"peak": 1.024e-3 * float(held)}


def looped(path: str) -> Iterator[tuple[Any, float]]:
    """Yield a clip's pictures, BGR, and their times in seconds, over and over.

    One thread decodes, as in our daemon: more take more processor time for the same pictures.
    """
    import cv2

    number = 0
    while True:
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        rate, before = capture.get(cv2.CAP_PROP_FPS) or 30.0, number
        while (shot := capture.read())[0]:
            yield shot[1], number / rate
            number += 1
        if number == before:
            raise SystemExit(f"{path}: not a video that OpenCV can read")


def serve(answers: Any) -> None:
    """Answer questions until there are no more."""
    subject = Subject(sys.argv[1], json.loads(sys.argv[2]))
    for line in sys.stdin:
        asked = json.loads(line)
        answer: Callable[..., dict[str, Any]] = getattr(subject, asked.pop("what"))
        answers.write(json.dumps(answer(**asked)) + "\n")
        answers.flush()


if __name__ == "__main__":
    # What the packages print must not be taken for an answer.
    kept = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(kept)
