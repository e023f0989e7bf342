"""What light costs: the table of `edgefer dev light`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgefer.cli import main
from edgefer_device.bench.lab import light as lights
from edgefer_device.bench.lab.light import LIGHTS, curved, equalized, lit
from edgefer_device.faces.quality import FLAT, lightened, stretched

GREY = np.full((48, 48), 200, np.uint8)


def test_less_light_is_darker_and_its_noise_the_same_each_time() -> None:
    dark = lit(GREY, LIGHTS["x0.2"])
    assert dark.mean() == pytest.approx(40, abs=1)
    assert 2 < dark.std() < 4
    assert (dark == lit(GREY, LIGHTS["x0.2"])).all()


def test_lamps_make_bands_of_rows() -> None:
    rows = lit(GREY, LIGHTS["bands"]).mean(1)
    assert rows.max() > 190
    assert rows.min() < 110


def test_light_from_behind_leaves_less_contrast() -> None:
    image = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (48, 1))
    behind = lit(image, LIGHTS["back light"])
    assert behind.std() < image.std() / 3
    assert behind.min() > 40


def test_normalized_faces_use_the_range() -> None:
    face = np.random.default_rng(0).integers(10, 40, (48, 48)).astype(np.uint8)
    assert stretched(face).max() >= 254
    assert curved(face).mean() == pytest.approx(127, abs=5)
    assert equalized(face).std() > face.std()
    for change in (stretched, curved, equalized):
        assert change(np.zeros((48, 48), np.uint8)).shape == (48, 48)


def test_the_table_is_printed_as_text_and_json(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lights, "LIGHTS", {name: LIGHTS[name] for name in ("as it is", "x0.1")})
    asked = ["dev", "light", "--data", str(data), "--count", "60"]
    done = CliRunner().invoke(main, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    plain, dark = json.loads(done.stdout)["lights"]
    assert plain["found"] >= 41
    assert dark["found"] < plain["found"]
    assert plain["reasons"].get("dark", 0) <= 1
    assert dark["reasons"]["dark"] >= 55
    assert dark["right"]["as it is"] < plain["right"]["as it is"]


def test_a_folder_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEFER_DATA", raising=False)
    done = CliRunner().invoke(main, ["dev", "light"])
    assert done.exit_code == 2
    assert "name the folder with photos, clips and FER2013: --data FOLDER" in done.stderr


def test_only_faces_of_little_contrast_are_stretched() -> None:
    face = np.random.default_rng(0).normal(size=(48, 48))
    flat, plain = (
        np.clip(127 + deviation * face, 0, 255).astype(np.uint8)
        for deviation in (FLAT / 2, FLAT + 2)
    )
    assert lightened(plain) is plain
    read = lightened(flat)
    assert (read.min(), read.max()) == (0, 255)
    # A hundredth at each end is beyond the range, all else keeps its order.
    assert 20 <= (read == 0).sum() <= 80
    assert (np.diff(read.ravel()[flat.ravel().argsort()].astype(int)) >= 0).all()
