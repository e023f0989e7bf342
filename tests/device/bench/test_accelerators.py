"""Chips beside the processor: named like any runtime, and told in a line where they are missing."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from edgefer import onnx_runtime
from edgefer.bundle import Bundle, describe, open_bundle, write_bundle
from edgefer.cli import main
from edgefer.console import FallbackWarning
from edgefer.errors import RuntimeMissing, SettingsError
from edgefer.litert import LiteRT
from edgefer.litert_gpu import LiteRTGpu
from edgefer.manifest import Compiled
from edgefer.metrics import Logits
from edgefer.onnx_runtime import onnx_session
from edgefer.preprocess import Pixels
from edgefer.runtime import (
    ACCELERATORS,
    FORMATS,
    RUNTIMES,
    Accelerator,
    choose,
    open_classifier,
    open_or_fall_back,
    runtime_of,
)
from edgefer_device.bench.loops import Plan
from edgefer_device.bench.tune import PREFERRED, try_all
from edgefer_device.daemon.configuration import Config
from edgefer_device.doctor import installation
from edgefer_device.system.check import Level
from support.edgetpu_library import build_library, write_edgetpu_bundle
from support.rknnlite_board import write_library
from support.tflite_files import Op, Tensor, constant, tflite

SMALL = open_bundle("small")
ALL = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
MODEL = SMALL.contents["onnx"]


def edgefer(*words: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgefer.cli", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


# --- NVIDIA's GPU ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runtime", "advice"),
    [
        *((name, onnx_runtime.NVIDIA) for name in ("cuda", "tensorrt")),
        ("openvino", "install onnxruntime-openvino in its place"),
        ("qnn", "install a build of onnxruntime for Qualcomm's chips in its place"),
        ("coreml", "run it on macOS, whose onnxruntime has it"),
    ],
)
def test_a_provider_that_onnxruntime_lacks_is_one_line(runtime: str, advice: str) -> None:
    done = CliRunner().invoke(main, ["bench", "small", "--short", "--runtime", runtime])
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"edgefer: {runtime}: this onnxruntime has no ")
    assert "only AzureExecutionProvider, CPUExecutionProvider" in line
    assert line.endswith(advice)


def test_a_provider_that_is_listed_and_does_not_start_is_no_fallback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """onnxruntime goes on without one whose libraries are missing: here it never had it."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(ALL))
    with (
        pytest.warns(UserWarning, match="is not in available provider names"),
        pytest.raises(RuntimeMissing, match="CUDAExecutionProvider, but it does not start") as told,
    ):
        onnx_session(MODEL, Path("m"), 1, "cuda")
    assert told.value.runtime == "cuda"


def test_tensorrt_keeps_an_engine_for_each_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    (first, options), *others = onnx_runtime.session_providers("tensorrt", ALL, b"one", True)
    assert first == "TensorrtExecutionProvider"
    assert others == [("CUDAExecutionProvider", {}), ("CPUExecutionProvider", {})]
    engines = Path(options["trt_engine_cache_path"])
    assert (engines.parent, engines.is_dir()) == (tmp_path / "tensorrt", True)
    assert options["trt_engine_cache_enable"]
    assert options["trt_int8_enable"]
    other = onnx_runtime.tensorrt_options(b"other", False)
    assert other["trt_engine_cache_path"] != str(engines)
    assert not other["trt_int8_enable"]
    assert other["trt_timing_cache_path"] == options["trt_timing_cache_path"]


def test_an_engine_cache_that_cannot_be_created_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "file"))
    with pytest.raises(SettingsError, match="cannot be created for TensorRT's engines"):
        onnx_runtime.session_providers("tensorrt", ALL, b"one", True)


def test_the_cpu_provider_is_alone() -> None:
    assert onnx_runtime.session_providers("cpu", ALL, MODEL, False) == [
        ("CPUExecutionProvider", {})
    ]
    session = onnx_session(MODEL, Path("m"), 1)
    assert session.get_providers() == ["CPUExecutionProvider"]


# --- names -----------------------------------------------------------------------------


def test_a_runtime_is_opened_by_the_name_that_the_bench_measured() -> None:
    assert set(PREFERRED) <= {*RUNTIMES, *ACCELERATORS}
    for name in PREFERRED:
        assert runtime_of(name) in FORMATS
    assert [
        choose(SMALL, name) for name in (None, "litert", "onnxruntime", "tensorrt", "cuda")
    ] == [*("int8", "int8", "onnx-int8", "tensorrt", "cuda")]


class Quick:
    """A classifier on a chip that takes no time."""

    def __init__(self, bundle: Bundle, format: str, threads: int) -> None:
        self.format, self._labels = format, sum(len(head.labels) for head in bundle.manifest.heads)

    def logits(self, chips: Pixels) -> Logits:
        return np.zeros((len(chips), self._labels), np.float32)


def test_the_fastest_installed_is_preferred_and_missing_ones_are_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ACCELERATORS, "cuda", Accelerator(("onnx",), Quick))
    monkeypatch.setattr(onnx_runtime, "has_provider", lambda provider: provider == "cuda")
    said: list[str] = []
    tried = try_all(SMALL, Plan(0.1, short=True), said.append)
    assert (tried[0].runtime, tried[0].threads) == ("cuda", 1)
    assert {one.runtime for one in tried} == {"int8", "onnx-int8", "onnx", "cuda"}
    assert said == ["left out, as this onnxruntime lacks them: tensorrt, openvino, qnn, coreml"]


def test_an_engine_is_built_while_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACCELERATORS, "tensorrt", Accelerator(("onnx-symmetric", "onnx"), Quick))
    monkeypatch.setattr(onnx_runtime, "has_provider", lambda provider: provider == "tensorrt")
    said: list[str] = []
    tried = try_all(SMALL, Plan(0.1, short=True), said.append)
    assert tried[0].runtime == "tensorrt"
    assert said[1:3] == [
        "opening TensorRT: it builds its engine, which takes minutes, unless it is cached",
        "TensorRT's engine is ready after 0 s",
    ]
    opened = open_classifier(SMALL, "tensorrt")
    assert isinstance(opened, Quick)
    assert opened.format == "onnx-symmetric"


# --- the Edge TPU ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def coral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stand-in for the library and a bundle with a file for the chip."""
    folder = tmp_path_factory.mktemp("coral")
    build_library(folder)
    write_edgetpu_bundle(folder / "bundle")
    return folder


def run_on(coral: Path, runtime: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the daemon on the demo for some frames."""
    settings = coral / f"{runtime}.toml"
    settings.write_text(f'camera = "demo:"\nmodel = "{coral}/bundle"\nruntime = "{runtime}"\n')
    return edgefer(*("run", "--config", settings, "--sink", "jsonl:-", "--frames", 20), **variables)


def moods(done: subprocess.CompletedProcess[str]) -> list[tuple[str | None, float]]:
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert reports
    return [(one["mood"], one["confidence"]) for one in reports if one["mood"]]


def test_the_daemon_classifies_by_the_library(coral: Path, tmp_path: Path) -> None:
    chip = tmp_path / "chip"
    chip.touch()
    read = moods(run_on(coral, "edgetpu", LD_LIBRARY_PATH=str(coral), EDGETPU_CHIP=str(chip)))
    assert chip.read_text() == "ready\n"
    # The stand-in computes nothing itself: it says what the processor says.
    assert read
    assert {mood for mood, _ in read} == {mood for mood, _ in moods(run_on(coral, "int8"))}


def test_the_bench_opens_the_edgetpu_for_one_at_a_time(coral: Path, tmp_path: Path) -> None:
    chip, out = tmp_path / "chip", tmp_path / "bench.json"
    chip.touch()
    words = ("bench", coral / "bundle", "--short", "--runtime", "edgetpu", "--tune", "--json", out)
    done = edgefer(*words, LD_LIBRARY_PATH=str(coral), EDGETPU_CHIP=str(chip))
    assert done.returncode == 0, done.stderr
    assert chip.read_text() == "ready\n" * 3  # the parts', the daemon's, the tuning's
    told = json.loads(out.read_text())
    assert "edgetpu" in {one["runtime"] for one in told["candidates"]}
    assert "left out, as this onnxruntime lacks them: tensorrt, cuda, " in done.stderr


def fell_back(done: subprocess.CompletedProcess[str], cause: str) -> None:
    """The daemon warns in one line, and goes on upon the processor."""
    assert moods(done)
    (line,) = [line for line in done.stderr.splitlines() if "instead" in line]
    assert line.startswith(f"edgefer: warning: edgetpu: libedgetpu.so.1 {cause}")
    assert line.endswith("; using the processor instead")


def test_an_edgetpu_in_use_falls_back_to_the_processor(coral: Path, tmp_path: Path) -> None:
    chip = tmp_path / "chip"
    chip.touch()
    with chip.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run_on(coral, "edgetpu", LD_LIBRARY_PATH=str(coral), EDGETPU_CHIP=str(chip))
    fell_back(done, "opens no Edge TPU: plug one in, end what else uses it, or ")


def test_a_missing_library_says_where_to_get_it_and_falls_back(coral: Path) -> None:
    fell_back(run_on(coral, "edgetpu"), "does not load; install ")


def test_a_missing_edgetpu_falls_back_to_the_processor(coral: Path) -> None:
    done = run_on(coral, "edgetpu", LD_LIBRARY_PATH=str(coral))
    fell_back(done, "opens no Edge TPU: ")


def test_the_bench_never_measures_another_runtime_than_was_asked_for(coral: Path) -> None:
    done = edgefer("bench", coral / "bundle", "--short", "--runtime", "edgetpu")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("edgefer: edgetpu: libedgetpu.so.1 does not load; install ")


def test_tensorrt_falls_back_to_cuda_and_that_to_the_processor() -> None:
    with pytest.warns(FallbackWarning) as warned:
        opened = open_or_fall_back(SMALL, "tensorrt")
    first, second = (str(one.message) for one in warned)
    assert first.startswith("tensorrt: this onnxruntime has no TensorrtExecutionProvider, only ")
    assert first.endswith("; using the runtime cuda instead")
    assert second.startswith("cuda: this onnxruntime has no CUDAExecutionProvider, only ")
    assert second.endswith("; using the processor instead")
    crop = np.full((1, 48, 48), 128, np.uint8)
    assert np.array_equal(opened.logits(crop), open_classifier(SMALL).logits(crop))


def test_a_bundle_without_a_file_for_the_edgetpu_lists_its_formats(tmp_path: Path) -> None:
    settings = tmp_path / "edgefer.toml"
    settings.write_text('camera = "demo:"\nruntime = "edgetpu"\n')
    done = edgefer("run", "--config", settings)
    assert done.returncode == 1
    assert "has no file for the runtime 'edgetpu' (edgetpu); it has: int8, " in done.stderr


def test_the_doctor_requires_a_configured_edgetpu(tmp_path: Path) -> None:
    none = tmp_path / "apex_0"
    missing = installation.check_edgetpu(tmp_path, none, "libedgetpu-absent.so.1", wanted=True)
    assert (missing.level, missing.found) == (
        Level.fail,
        "configured, but libedgetpu-absent.so.1 is missing",
    )
    unplugged = installation.check_edgetpu(tmp_path, none, "libc.so.6", wanted=True)
    assert (unplugged.level, unplugged.found) == (Level.fail, "configured, but not found")
    none.touch()
    assert installation.check_edgetpu(tmp_path, none, "libc.so.6", wanted=True).level is Level.ok


def test_the_doctor_leaves_the_edgetpu_to_the_daemon(coral: Path) -> None:
    assert (
        installation.check_model(Config(model=str(coral / "bundle"), runtime="edgetpu")).level
        is Level.ok
    )
    absent = installation.check_model(Config(runtime="edgetpu"))
    assert absent.level is Level.fail
    assert "has no file for the runtime 'edgetpu'" in absent.found


def test_the_doctor_opens_the_runtime_that_is_configured() -> None:
    assert installation.check_model(Config(runtime="onnxruntime")).level is Level.ok
    gpu = installation.check_model(Config(runtime="tensorrt"))
    assert gpu.level is Level.fail
    assert gpu.found.startswith("tensorrt: this onnxruntime has no ")
    assert gpu.advice == "or set another `runtime`"


def test_the_doctor_lists_the_providers_of_onnxruntime() -> None:
    found = installation.check_onnxruntime()
    assert (found.level, found.found) == (Level.ok, f"{onnxruntime.__version__}: cpu")


# --- Rockchip's NPU --------------------------------------------------------------------

HAPPY = [[0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0], [0.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
"""Logits of both heads."""


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a double of the library, and a bundle with a file for the NPU."""
    folder = tmp_path_factory.mktemp("board")
    write_library(folder)
    content, report = b"RKNN", Compiled("rknn-toolkit2 2.5.0", "rk3588")
    entry = describe("model.rknn", content, "Rockchip's NPU", report)
    manifest = replace(SMALL.manifest, files={**SMALL.manifest.files, "rknn": entry})
    write_bundle(folder / "bundle", manifest, {**SMALL.contents, "rknn": content})
    return folder


def on_board(
    board: Path, fails: str = "", runtime: str = "rknn"
) -> subprocess.CompletedProcess[str]:
    path = ":".join([str(board), *sys.path])
    logits = json.dumps(HAPPY)
    return run_on(board, runtime, PYTHONPATH=path, RKNN_FAILS=fails, RKNN_LOGITS=logits)


def test_the_daemon_classifies_on_the_npu_and_keeps_stdout_clean(board: Path) -> None:
    assert {mood for mood, _ in moods(on_board(board))} == {"happy"}


@pytest.mark.parametrize(
    ("fails", "cause"),
    [
        (
            "version",
            "librknnrt 1.4.0 does not read a file of rknn-toolkit2 2.5.0; install librknnrt of "
            "that version or newer from https://github.com/airockchip/rknn-toolkit2/",
        ),
        ("driver", "no NPU: its driver, rknpu, is not loaded, or this user may not open it"),
        ("silent", "the NPU does not start: the library says nothing of why"),
    ],
)
def test_an_npu_that_does_not_start_is_a_line_and_falls_back(
    fails: str, cause: str, board: Path
) -> None:
    done = on_board(board, fails)
    assert moods(done)
    (line,) = [line for line in done.stderr.splitlines() if "instead" in line]
    assert line.startswith(f"edgefer: warning: rknn: {cause}")
    assert line.endswith("; using the processor instead")


def test_an_npu_that_fails_while_it_runs_is_a_line(board: Path) -> None:
    done = on_board(board, "run")
    assert done.returncode == 1
    assert "edgefer: rknn: failed to submit!, op id: 1" in done.stderr


def test_the_doctor_requires_a_configured_npus_library() -> None:
    assert installation.check_rknn().found == "none: rknn-toolkit-lite2 is not installed"
    missing = installation.check_rknn(wanted=True)
    assert (missing.level, missing.advice) == (Level.fail, "run: pip install 'edgefer[rknn]'")


def test_without_rockchips_library_the_line_says_how_to_install_it(board: Path) -> None:
    done = run_on(board, "rknn")
    (line,) = [line for line in done.stderr.splitlines() if "instead" in line]
    assert "rknn-toolkit-lite2 is not installed; run: pip install 'edgefer[rknn]'" in line


# --- a GPU by LiteRT -------------------------------------------------------------------


@pytest.fixture
def float_bundle() -> Bundle:
    """A bundle of one head whose float16 file has random weights."""
    rng = np.random.default_rng(0)
    tensors = [
        Tensor((1, 48, 48, 1), "float32", None),
        constant([1, 2]),
        Tensor((1, 1), "float32", None),
        Tensor((7, 1), "float32", None, rng.normal(size=(7, 1)).astype(np.float32)),
        Tensor((7,), "float32", None, rng.normal(size=7).astype(np.float32)),
        Tensor((1, 7), "float32", None),
    ]
    ops = [
        Op("MEAN", (0, 1), (2,), kind="Reducer"),
        Op("FULLY_CONNECTED", (2, 3, 4), (5,), kind="FullyConnected"),
    ]
    content = tflite(tensors, ops)
    files = {"float16": describe("model.float16.tflite", content, "LiteRT")}
    manifest = replace(SMALL.manifest, heads=SMALL.manifest.heads[:1], ensemble=None, files=files)
    return Bundle(Path("float"), manifest, {"float16": content})


def test_litert_without_a_gpu_falls_back_to_the_processor(float_bundle: Bundle) -> None:
    with pytest.warns(FallbackWarning, match="gpu: LiteRT runs nothing on a GPU here") as warned:
        opened = open_or_fall_back(float_bundle, "gpu")
    assert str(warned[0].message).endswith("; using the processor instead")
    assert isinstance(opened, LiteRT)


ON_GPU = """
import sys
from edgefer.bundle import open_bundle
from edgefer.runtime import open_or_fall_back
open_or_fall_back(open_bundle(sys.argv[1]), "gpu")
"""


def test_litert_says_nothing_at_the_end_of_a_program_that_tried_a_gpu(
    float_bundle: Bundle, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    write_bundle(out, float_bundle.manifest, {"float16": float_bundle.read("float16")})
    words = [sys.executable, "-W", "ignore", "-c", ON_GPU, str(out)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_what_a_gpu_gets_and_returns_is_what_the_processor_does(float_bundle: Bundle) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (5, 48, 48), np.uint8)
    found = LiteRTGpu(float_bundle, "float16", accelerator="CPU").logits(crops)
    np.testing.assert_allclose(found, LiteRT(float_bundle, "float16").logits(crops), atol=1e-5)
