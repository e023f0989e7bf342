"""`edgefer model compile` by the real rknn-toolkit2, in the environment that is named.

EDGEFER_RKNN_PYTHON=rknn/bin/python make rig PYTEST="-k rig_rknn"
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgefer.bundle import open_bundle
from edgefer.cli import main


@pytest.mark.parametrize("model", ["tiny", "small"])
def test_rockchips_simulator_agrees_with_float(model: str, data: Path, tmp_path: Path) -> None:
    if "EDGEFER_RKNN_PYTHON" not in os.environ:
        pytest.skip("EDGEFER_RKNN_PYTHON names no Python with rknn-toolkit2")
    words = ["--target", "rk3588", "--data", str(data), "--faces", "100"]
    out = tmp_path / "bundle"
    done = CliRunner().invoke(main, ["model", "compile", model, *words, "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    bundle = open_bundle(out)
    report = bundle.manifest.files["rknn"].compiled
    assert report is not None
    assert report.compiler.startswith("rknn-toolkit2 2.")
    assert report.agreement is not None
    assert report.agreement >= 0.95
    assert len(bundle.read("rknn")) > 100_000
