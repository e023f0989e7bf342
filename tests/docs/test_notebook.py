"""The notebook in docs/ runs, cell by cell, as somebody would run it beside a folder of faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edgefer
from edgefer.errors import ImageError, SettingsError
from edgefer.labels import FER2013

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
TRAINING = "edgefer.train("


def cells() -> list[str]:
    found = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def run(sources: list[str]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for source in sources:
        exec(compile(source, str(NOTEBOOK), "exec"), names)
    return names


def test_the_cells_that_predict_run() -> None:
    sources = cells()
    at = next(at for at, source in enumerate(sources) if TRAINING in source)
    names = run(sources[:at])
    (face,) = names["prediction"].faces
    assert set(face.probabilities) == set(FER2013)
    assert names["model"].predict(names["cut"], cropped=True).faces[0].box.width == 48


@pytest.mark.slow
def test_all_cells_run_beside_a_folder_of_faces(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with np.load(data / "fer2013.npz") as arrays:
        images, labels = arrays["images"], arrays["labels"]
    for name in ("happy", "surprise"):
        folder = tmp_path / "my_faces" / name.title()
        folder.mkdir(parents=True)
        for row in np.flatnonzero(labels == FER2013.index(name))[:30]:
            cv2.imwrite(str(folder / f"{row}.png"), images[row])
    monkeypatch.chdir(tmp_path)
    bundle = run(cells())["bundle"]
    assert bundle.manifest.heads[0].labels == ("Happy", "Surprise")
    assert edgefer.load(tmp_path / "runs/mine/bundle").labels == ("Happy", "Surprise")


def test_what_cannot_be_is_one_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="labels"):
        edgefer.load("tiny", labels="emotions")
    with pytest.raises(ImageError, match=r"none\.png"):
        edgefer.load("tiny").predict(tmp_path / "none.png")
    with pytest.raises(SettingsError, match=r"fit\.batch_size must be from 1"):
        edgefer.train(tmp_path, tmp_path / "run", fit__batch_size=0)
    with pytest.raises(AttributeError, match="no attribute 'predict'"):
        _ = edgefer.predict
