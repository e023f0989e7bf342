"""`edgefer model compile`: Arm's compiler itself, and a double of Rockchip's."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner, Result
from msgspec.structs import replace

from edgefer.bundle import describe, open_bundle, write_bundle
from edgefer.cli import main
from edgefer.errors import ConversionError, SettingsError
from edgefer.tflite_file import read_graph
from edgefer_convert.formats.ethos_u import compile_for_ethos_u, parse_report
from edgefer_convert.formats.space_to_depth import fold, unfold, without_space_to_depth
from edgefer_convert.formats.table import COMPILED, select_formats
from support.rknn_toolkit import write_python
from support.tflite_files import Op, Tensor, tflite


def compiled(*words: object) -> Result:
    return CliRunner().invoke(main, ["model", "compile", *map(str, words)])


def logits(content: bytes, images: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    first, last = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for image in images:
        interpreter.set_tensor(first["index"], image[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(last["index"]).copy())
    return np.concatenate(rows)


# --- the first convolution as it was -----------------------------------------------------


@pytest.mark.parametrize("model", ["tiny", "small"])
def test_a_file_without_space_to_depth_computes_the_same_to_the_bit(model: str) -> None:
    content = open_bundle(model).read("int8")
    plain = without_space_to_depth(content)
    names = [op.name for op in read_graph(plain, model).ops]
    assert names == [op.name for op in read_graph(content, model).ops][1:]
    assert names[0] == "CONV_2D"
    images = np.random.default_rng(0).integers(-128, 128, (20, 48, 48, 1), np.int8)
    assert np.array_equal(logits(plain, images), logits(content, images))
    assert without_space_to_depth(plain) == plain


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (5, 2), (7, 4), (4, 4)])
def test_unfold_finds_what_was_folded(size: int, stride: int, same: bool) -> None:
    weights = np.random.default_rng(size).integers(1, 128, (2, size, size, 1), np.int8)
    found = unfold(fold(weights, stride, same), stride, same)
    assert found is not None
    assert np.array_equal(found, weights)


# --- Arm Ethos-U -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "target"), [("tiny", "ethos-u55-128"), ("small", "ethos-u65-256")]
)
def test_vela_maps_every_operation_of_what_ships(model: str, target: str, tmp_path: Path) -> None:
    done = compiled(model, "--target", target, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    bundle = open_bundle(tmp_path / "out")
    report = bundle.manifest.files["ethos-u"].compiled
    assert report is not None
    assert (report.accelerator, report.compiler) == (target, "Vela 5.2.0")
    assert report.mapped == report.operations
    assert report.sram_bytes is not None
    assert 20_000 < report.sram_bytes < 1_000_000
    (op,) = read_graph(bundle.read("ethos-u"), "out").ops
    assert op.name == "ethos-u"
    assert "estimated by the compiler, not measured" in " ".join(done.stdout.split())
    assert f"{target}, by Vela 5.2.0" in bundle.read("card").decode()
    # All that the bundle had is there as it was.
    shipped = open_bundle(model).contents
    assert {name: bundle.contents[name] for name in shipped if name != "card"} == {
        name: content for name, content in shipped.items() if name != "card"
    }


def test_a_bundle_without_an_int8_file_is_refused_in_a_line(tmp_path: Path) -> None:

    tiny = open_bundle("tiny")
    files = {name: file for name, file in tiny.manifest.files.items() if name != "int8"}
    contents = {name: tiny.contents[name] for name in files}
    write_bundle(tmp_path / "float", replace(tiny.manifest, files=files), contents)
    done = compiled(tmp_path / "float", "--target", "ethos-u55-128", "--out", tmp_path / "out")
    assert (done.exit_code, (tmp_path / "out").exists()) == (1, False)
    assert "has no 'int8' file; it has: card, " in done.stderr


def test_without_vela_the_line_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    done = compiled("tiny", "--target", "ethos-u55-128", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert done.stderr == (
        "edgefer: ethos-u-vela is not installed; run: pip install 'edgefer[ethos-u]'\n"
    )


def test_what_vela_refuses_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"^Vela refused the file: .*ethos-u99"):
        compile_for_ethos_u(open_bundle("tiny").read("int8"), "ethos-u99")


def test_an_operation_that_the_npu_lacks_is_counted_and_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features = Tensor((1, 48, 48, 1))
    content = tflite([features, features], [Op("CUSTOM", (0,), (1,), custom="mine")])
    tiny = open_bundle("tiny")
    files = {**tiny.manifest.files, "int8": describe("model.int8.tflite", content, "LiteRT")}
    write_bundle(
        tmp_path / "own", replace(tiny.manifest, files=files), {**tiny.contents, "int8": content}
    )
    words = ("--target", "ethos-u55-128", "--out", tmp_path / "out")
    assert compiled(tmp_path / "own", *words).exit_code == 0
    assert "0 of 1 operations on the accelerator" in caplog.messages[-1]
    assert caplog.messages[-1].endswith("runs 1 of them on the CPU")


def test_a_report_of_another_version_is_a_line() -> None:
    with pytest.raises(ConversionError, match="expected version 5"):
        parse_report("NPU operators = 3 (100.0%)", "network,sram\nx,1\n", "ethos-u55-128")


def test_convert_points_to_where_these_formats_are_made() -> None:
    for format in COMPILED:
        with pytest.raises(SettingsError, match="is made from a bundle by: edgefer model compile"):
            select_formats(format, ["int8", "onnx"], "a run")


# --- Rockchip ----------------------------------------------------------------------------


def test_rockchips_file_comes_with_its_simulators_agreement(data: Path, tmp_path: Path) -> None:
    python = write_python(tmp_path)
    words = ("--target", "rk3588", "--data", data, "--faces", 20, "--python", python)
    done = compiled("tiny", *words, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    bundle = open_bundle(tmp_path / "out")
    report = bundle.manifest.files["rknn"].compiled
    assert report is not None
    assert (report.compiler, report.accelerator) == ("rknn-toolkit2 2.5.0", "rk3588")
    # The double computes in float.
    assert (report.faces, report.agreement) == (20, 1.0)
    assert bundle.read("rknn") == b"RKNN rk3588 512"


def test_rockchips_compiler_needs_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEFER_DATA", raising=False)
    done = compiled("tiny", "--target", "rk3588", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "quantizes by faces; name them: --data FOLDER" in done.stderr


@pytest.mark.parametrize("python", ["", "/nonexistent/python", shutil.which("true")])
def test_without_the_toolkit_the_line_says_how_to_install_it(
    python: str, data: Path, tmp_path: Path
) -> None:
    named = ("--python", python) if python else ()
    words = ("--target", "rk3566", "--data", data, *named, "--out", tmp_path / "out")
    done = compiled("tiny", *words)
    assert "rknn/bin/pip install rknn-toolkit2, then EDGEFER_RKNN_PYTHON=" in done.stderr
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1), done.stderr
