"""The corruptions of the robustness suite: seeded, in order of strength, and as they are named."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer.errors import SettingsError
from edgefer.preprocess import Pixels
from edgefer_train.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from support.slices import write_slice


@pytest.fixture(scope="module")
def faces() -> Pixels:
    """Eight smooth patterns with edges, neither black nor white."""
    rows, columns = np.mgrid[:48, :48]
    waves = [np.sin(rows / (2 + n)) + np.cos(columns / (3 + n)) for n in range(8)]
    return np.asarray([128 + 40 * wave for wave in waves], np.uint8)


def distance(faces: Pixels, changed: Pixels) -> float:
    return float(np.abs(faces.astype(float) - changed).mean())


def test_there_are_fifteen_kinds() -> None:
    assert len(CORRUPTIONS) == 15


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_keeps_shape_and_type_and_its_seed_decides_it(
    kind: str, faces: Pixels
) -> None:
    first = corrupt(faces, kind, 3, seed=1)
    assert first.shape == faces.shape and first.dtype == np.uint8
    assert (first == corrupt(faces, kind, 3, seed=1)).all()
    assert distance(faces, first) > 0.2


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_each_strength_changes_more(kind: str, faces: Pixels) -> None:
    distances = [distance(faces, corrupt(faces, kind, strength)) for strength in STRENGTHS]
    assert distances == sorted(distances)


def test_noise_of_the_third_strength_has_a_sigma_of_ten() -> None:
    grey = np.full((50, 48, 48), 128, np.uint8)
    assert corrupt(grey, "gaussian_noise", 3).std() == pytest.approx(10, abs=0.2)


def test_blur_resolution_and_jpeg_are_what_opencv_does(faces: Pixels) -> None:
    blurred = cv2.GaussianBlur(faces[0].astype(np.float32), (0, 0), 1.0)
    assert np.abs(corrupt(faces, "defocus_blur", 3)[0] - blurred).max() <= 0.51
    small = cv2.resize(faces[0], (24, 24), interpolation=cv2.INTER_AREA)
    again = cv2.resize(small, (48, 48), interpolation=cv2.INTER_LINEAR)
    assert np.abs(corrupt(faces, "low_resolution", 3)[0].astype(int) - again).max() <= 1
    _, content = cv2.imencode(".jpg", faces[0], [cv2.IMWRITE_JPEG_QUALITY, 30])
    decoded = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
    assert (corrupt(faces, "jpeg", 3)[0] == decoded).all()


def test_an_unknown_corruption_or_strength_is_refused(faces: Pixels) -> None:
    with pytest.raises(SettingsError, match="unknown corruption 'rain'; known: gaussian_noise"):
        corrupt(faces, "rain", 1)
    with pytest.raises(SettingsError, match="strength must be 1 to 5, got 6"):
        corrupt(faces, "jpeg", 6)


@pytest.fixture(scope="module")
def faces600(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slice(data, tmp_path_factory.mktemp("faces") / "fer2013.npz", 100, 100, 600)


def evaluate(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(main, ["evaluate", "tiny", *map(str, words)])


def test_the_verb_prints_draws_and_reports_a_corruption(faces600: Path, tmp_path: Path) -> None:
    options = ("--data", faces600, "--corruptions", "--kind", "gaussian_noise")
    shown = evaluate(*options, "--plot", tmp_path / "noise.png")
    assert shown.exit_code == 0, shown.output
    assert "gaussian noise" in shown.stdout and "faces of PrivateTest" in shown.stdout
    assert (tmp_path / "noise.png").read_bytes().startswith(b"\x89PNG")
    done = msgspec.json.decode(evaluate(*options, "--json").stdout)
    accuracies = [one["accuracy"] for one in done["corrupted"]["gaussian_noise"]]
    assert len(accuracies) == 5
    assert done["clean"]["accuracy"] > accuracies[2] > accuracies[4]


def test_the_verb_refuses_what_does_not_go_together(tmp_path: Path) -> None:
    for words, reason in (
        (("--corruptions", "--kind", "rain"), "unknown corruption 'rain'"),
        (("--kind", "jpeg"), "belong to --corruptions"),
        (("--corruptions", "--plot", "x.txt"), "x.txt: expected a file whose name ends in .png"),
        (("--corruptions", "--plot", "/no/x.png"), "/no/x.png: no such folder /no"),
        (("--corruptions", "--out", tmp_path), "leave out --corruptions"),
    ):
        done = evaluate(*words)
        assert done.exit_code == 1 and reason in done.stderr
