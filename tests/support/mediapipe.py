"""MediaPipe in an environment of its own: its packages and ours do not go together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import pytest

from edgefer.preprocess import Pixels
from support.cache import ROOT, locked

WANTED = ROOT / "tests" / "support" / "mediapipe.txt"

CLASSIFY = """
import json, sys
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision

model, *faces = sys.argv[1:]
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model))
said = []
with vision.ImageClassifier.create_from_options(options) as classifier:
    for face in faces:
        (answer,) = classifier.classify(mediapipe.Image.create_from_file(face)).classifications
        said.append({one.category_name: one.score for one in answer.categories})
print(json.dumps(said))
"""

Said = list[dict[str, float]]
"""Of each face, the probability of each label, the likeliest first."""


def classified(python: Sequence[str], model: bytes, faces: Sequence[Pixels], folder: Path) -> Said:
    """Let MediaPipe's ImageClassifier read RGB faces (H, W, 3) by a file for phones."""
    (folder / "model.tflite").write_bytes(model)
    names = [f"{number}.png" for number in range(len(faces))]
    for name, face in zip(names, faces, strict=True):
        cv2.imwrite(str(folder / name), cv2.cvtColor(face, cv2.COLOR_RGB2BGR))
    words = [*python, "-c", CLASSIFY, "model.tflite", *names]
    done = subprocess.run(words, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said: Said = json.loads(done.stdout.splitlines()[-1])
    return said


def mediapipe_python() -> list[str]:
    """Return the command of a Python that has MediaPipe, made where it is not there yet.

    It is cut off from the network where the kernel lets us: MediaPipe's licence speaks of
    usage figures that it sends. Skips where no package index can be reached.
    """
    with locked("mediapipe") as folder:
        python, done = folder / "bin" / "python", folder / "installed.txt"
        if not done.is_file() or done.read_text() != WANTED.read_text():
            _install(folder, python)
            done.write_text(WANTED.read_text())
        return [*_without_network(), str(python)]


def _install(folder: Path, python: Path) -> None:
    """Install it: 2 minutes and 540 MB."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    words = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(WANTED)]
    # Two retries, not five: without a network each of the packages would wait for its own.
    quick = {**os.environ, "PIP_RETRIES": "2", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    tried = subprocess.run(words, check=False, capture_output=True, text=True, env=quick)
    if tried.returncode != 0 and "No matching distribution" in tried.stderr:
        pytest.skip(f"no package index has MediaPipe: {tried.stderr.splitlines()[-1]}")
    assert tried.returncode == 0, tried.stderr


def _without_network() -> list[str]:
    alone = ["unshare", "--map-root-user", "--net"]
    try:
        done = subprocess.run([*alone, "true"], check=False, capture_output=True)
    except OSError:
        return []
    return alone if done.returncode == 0 else []
