"""Bundles that a conversion writes: all formats, the same bytes, and the Edge TPU's part."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from convert.conftest import edgefer, last_line
from edgefer.bundle import open_bundle
from edgefer.cli import main
from edgefer.manifest import Manifest, write_manifest
from edgefer_convert.formats.table import COMPILED, FORMATS
from edgefer_train.run import Run
from support.edgetpu_compiler import (
    PARTIAL_TABLE,
    PARTLY,
    REFUSES,
    SUMMARY,
    install,
    install_compiler,
)

LIMITS = """
[gate]
# Nothing can be required of a net that was never trained but its form.
accuracy_drop = inf
class_recall_drop = inf
agreement = 0
calibration_error = inf
label_order = inf
parity = 0.9
"""
SHOWN = "default::edgefer.console.FallbackWarning"
"""A warning is a line for the person, as outside of tests."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gate") / "gate.toml"
    path.write_text(LIMITS)
    return path


@pytest.fixture(scope="module")
def words(run: Run, faces: Path, gate: Path) -> list[object]:
    return ["convert", "--run", run.folder, "--data", faces, "--gate", gate]


def files(out: Path) -> dict[str, bytes]:
    """A bundle's files, of a folder or a zip."""
    if out.is_dir():
        return {path.name: path.read_bytes() for path in sorted(out.iterdir())}
    with zipfile.ZipFile(out) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_same_run_gives_the_same_bytes_in_every_format_and_process(
    words: list[object],
    bare_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    install_compiler(bare_path, monkeypatch)
    first, second = tmp_path / "one.zip", tmp_path / "two.zip"
    edgefer(*words, "--formats", "all", "--out", first)
    command = [sys.executable, "-m", "edgefer.cli", *words, "--formats", "all", "--out", second]
    # Another seed of Python's own hashes, by which sets are ordered.
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    made = {*FORMATS} - {*COMPILED}
    assert set(open_bundle(first).manifest.files) == {*made, "labels", "card"}
    assert {
        name for name, content in files(first).items() if content != files(second)[name]
    } == set()
    assert first.read_bytes() == second.read_bytes()


def manifest_of(out: Path) -> Manifest:
    return open_bundle(out).manifest


def test_without_a_compiler_bundle_and_card_have_the_hint(
    words: list[object], bare_path: Path, tmp_path: Path
) -> None:
    assert not list(bare_path.iterdir())
    out = tmp_path / "bundle"
    edgefer(*words, "--formats", "int8", "--out", out)
    summary = manifest_of(out).evidence.edgetpu
    assert "would run on the Edge TPU" in summary
    assert "not compiled: edgetpu_compiler is not on PATH" in summary
    assert "docker build -t edgefer-edgetpu" in (out / "MODEL_CARD.md").read_text()
    done = edgefer(*words, "--formats", "int8,edgetpu", "--out", tmp_path / "b", status=1)
    assert last_line(done).startswith("edgefer: --formats edgetpu: not compiled: edgetpu_compiler")


def test_a_compiler_on_path_is_run_by_default(
    words: list[object], bare_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_compiler(bare_path, monkeypatch)
    out = tmp_path / "bundle"
    edgefer(*words, "--out", out)
    bundle = open_bundle(out)
    assert bundle.read("edgetpu") == bundle.read("int8") + b"compiled\n"
    assert bundle.manifest.evidence.edgetpu.startswith(
        "compiled by edgetpu_compiler 16.0.384591198: 14 operations on the Edge TPU, 0 on the CPU"
    )


@pytest.mark.filterwarnings(SHOWN)
def test_less_than_all_on_the_edge_tpu_is_a_warning_or_by_the_gate_a_failure(
    words: list[object],
    gate: Path,
    bare_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    install_compiler(bare_path, monkeypatch, PARTIAL_TABLE, SUMMARY + PARTLY)
    done = edgefer(*words, "--out", tmp_path / "bundle")
    assert "edgefer: warning: Edge TPU: compiled by edgetpu_compiler" in done.stderr
    assert "11 operations on the Edge TPU, 3 on the CPU (79% mapped)" in done.stderr
    strict = tmp_path / "strict.toml"
    strict.write_text(gate.read_text() + "edgetpu_mapped = 1.0\n")
    again = [*words, "--gate", strict, "--out", tmp_path / "strict"]
    done = edgefer(*again, status=1)
    assert "mapped to the Edge TPU is 78.57%, expected at least 100.00%" in last_line(done)
    assert not (tmp_path / "strict").exists()
    edgefer(*again, "--allow", "mapped to the Edge TPU", "--because", "no Coral here")
    assert [check.name for check in manifest_of(tmp_path / "strict").gate.checks if check.allowed]


@pytest.mark.filterwarnings(SHOWN)
def test_a_compiler_that_refuses_the_file_fails_only_the_format_by_name(
    words: list[object], bare_path: Path, tmp_path: Path
) -> None:
    install(bare_path, REFUSES)
    done = edgefer(*words, "--out", tmp_path / "bundle")
    assert "not compiled: edgetpu_compiler refused the file: Didn't find op" in done.stderr
    assert "edgetpu" not in manifest_of(tmp_path / "bundle").files
    done = edgefer(*words, "--formats", "edgetpu", "--out", tmp_path / "by-name", status=1)
    assert "--formats edgetpu: not compiled: edgetpu_compiler refused" in last_line(done)


def test_sensitivity_is_shown_before_the_gate_decides(
    words: list[object], gate: Path, tmp_path: Path
) -> None:
    strict = tmp_path / "strict.toml"
    strict.write_text(gate.read_text() + "bytes = 100\n")
    again = [*words, "--formats", "int8", "--gate", strict, "--out", tmp_path / "bundle"]
    done = edgefer(*again, "--sensitivity", status=1)
    assert "from float to int8" in done.stdout
    assert "most sensitive layers: " in done.stdout
    assert done.stdout.index("most sensitive layers: ") < done.stdout.index("size of int8")
    assert "size of int8 is " in last_line(done)


@pytest.fixture(scope="module")
def allowed(words: list[object], gate: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of which one check was allowed to fail."""
    folder = tmp_path_factory.mktemp("allowed")
    strict, out = folder / "strict.toml", folder / "bundle"
    strict.write_text(gate.read_text() + "bytes = 100\n")
    again = [*words, "--formats", "int8", "--gate", strict, "--out", out]
    edgefer(*again, "--allow", "size of int8", "--because", "it's a test")
    return out


def test_an_allowed_failure_is_in_manifest_inspection_and_card(allowed: Path) -> None:
    checks = manifest_of(allowed).gate.checks
    assert [check.name for check in checks if check.allowed] == ["size of int8"]
    assert "it's a test" in " ".join(edgefer("model", "inspect", allowed).stdout.split())
    assert ": it's a test |" in (allowed / "MODEL_CARD.md").read_text()


def test_sensitivity_is_a_table_and_a_chart(allowed: Path, faces: Path, tmp_path: Path) -> None:
    words = ("model", "sensitivity", allowed, "--data", faces, "--faces", 10)
    done = edgefer(*words, "--plot", tmp_path / "costs.png")
    assert "most sensitive layers: " in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["costs.png"]


# --- one table of all formats -------------------------------------------------


def test_formats_are_compared_by_evidence_size_and_time() -> None:
    done = edgefer("model", "formats", "small", "--seconds", "0.05", "--json")
    found = {row["format"]: row for row in json.loads(done.stdout)["rows"]}
    manifest = open_bundle("small").manifest
    assert set(found) == set(manifest.files) & set(FORMATS)
    scores = manifest.heads[0].calibration.scores
    for format, row in found.items():
        assert row["bytes"] == manifest.files[format].bytes
        assert row["drop"] == pytest.approx(
            scores["float"].accuracy - scores[format].accuracy, abs=1e-5
        )
        assert 0 < row["milliseconds"] < 1000
    worst = max(
        one.recall - scores["int8"].per_class[label].recall
        for label, one in scores["float"].per_class.items()
    )
    assert found["int8"]["worst_drop"] == pytest.approx(worst, abs=1e-5)


@pytest.mark.parametrize(
    "words", [("model", "inspect"), ("model", "formats", "--seconds", "0.05"), ("model", "compare")]
)
def test_at_80_columns_no_name_and_no_number_is_cut_off(words: tuple[str, ...]) -> None:
    done = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*words, "small"])
    assert done.exit_code == 0, done.output
    # A hash is shown by its first digits.
    assert re.sub(r"[0-9a-f]{12,16}…", "", done.stdout).count("…") == 0
    manifest = open_bundle("small").manifest
    formats = set(manifest.files) & set(FORMATS) if "compare" not in words else set()
    for format in formats:
        assert re.search(rf"\b{format}\b", done.stdout)
        assert f"{manifest.files[format].bytes:,}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_at_60_columns_each_format_is_a_paragraph_with_all_figures() -> None:
    words = ("model", "formats", "small", "--seconds", "0.05")
    done = CliRunner(env={"COLUMNS": "60"}).invoke(main, words)
    assert "…" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 60
    text, manifest = " ".join(done.stdout.split()), open_bundle("small").manifest
    for format, scores in manifest.heads[0].calibration.scores.items():
        if format in manifest.files:
            found = re.search(rf"\b{format}: bytes ([\d,]+), acc. ([\d.]+)%, drop", text)
            assert found is not None
            size, accuracy = f"{manifest.files[format].bytes:,}", f"{100 * scores.accuracy:.2f}"
            assert found.groups() == (size, accuracy)
    assert len(re.findall(r" ECE [\d.]+, ms [\d.]+", text)) == text.count(": bytes ")


def test_the_table_is_markdown_for_a_document() -> None:
    text = edgefer("model", "formats", "small", "--seconds", "0.05", "--markdown").stdout
    title, _, headings, rule, *rows = text.splitlines()
    assert "3,589 images of PrivateTest; times on " in title
    assert headings.startswith("| format | bytes | accuracy | drop, points |")
    assert rule.count("---") == headings.count("|") - 1
    assert {row.split(" | ")[0].removeprefix("| ") for row in rows} >= {"int8", "onnx", "onnx-int8"}


def test_a_format_without_a_runtime_here_is_compared_by_its_size(tmp_path: Path) -> None:
    bundle = open_bundle("small")
    entry = bundle.manifest.files["int8"]
    manifest = msgspec.structs.replace(
        bundle.manifest, files={**bundle.manifest.files, "edgetpu": entry}
    )
    for file in files(bundle.path).items():
        (tmp_path / file[0]).write_bytes(file[1])
    (tmp_path / "manifest.json").write_bytes(write_manifest(manifest))
    text = edgefer("model", "formats", tmp_path, "--seconds", "0.05", "--markdown").stdout
    (row,) = [line for line in text.splitlines() if line.startswith("| edgetpu ")]
    assert row.count("not measured") == 6
