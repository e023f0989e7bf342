"""`predict --cropped`: the image is the face, as FER2013's own images are."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edgefer.bundle import open_bundle
from edgefer.cli import main
from edgefer.labels import FER2013
from edgefer.runtime import open_classifier
from edgefer_device.bench.labelled_faces import read_part
from edgefer_device.faces.quality import lightened

COUNT = 24


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, np.ndarray]:
    folder = tmp_path_factory.mktemp("faces")
    images = read_part(data, "PrivateTest", COUNT).images
    named = {folder / f"{at}.png": image for at, image in enumerate(images)}
    for path, image in named.items():
        cv2.imwrite(str(path), image)
    return named


def test_every_cropped_face_is_predicted_as_the_model_predicts_it(
    faces: dict[Path, np.ndarray],
) -> None:
    done = CliRunner().invoke(main, ["predict", "--cropped", "--json", *map(str, faces)])
    assert done.exit_code == 0, done.output
    small = open_bundle("small")
    logits = open_classifier(small).logits(np.stack(list(map(lightened, faces.values()))))
    expected = small.manifest.decoder().probabilities(logits)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == COUNT
    for line, row in zip(lines, expected, strict=True):
        (face,) = line["faces"]
        assert face["box"] == [0, 0, 48, 48]
        found = [face["probabilities"][label] for label in FER2013]
        assert found == pytest.approx(row.tolist(), abs=1e-5)


def test_a_detector_has_nothing_to_do_there(faces: dict[Path, np.ndarray]) -> None:
    words = ["predict", "--cropped", "--detector", "haar", str(next(iter(faces)))]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "give it without --detector" in done.stderr
