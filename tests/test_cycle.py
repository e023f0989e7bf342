"""The whole way on real faces through the command line: data to bundle to broker and page."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt
import h5py
import pytest
from selenium.webdriver.support.ui import WebDriverWait

from edgefer.bundle import open_bundle
from edgefer.labels import FER2013
from edgefer.litert import tflite_tensors
from support.browser import chromium
from support.mosquitto import Mosquitto, free_port
from support.slices import write_slice

RECIPE = """
architecture = "tiny"
[fit]
epochs = 3
batch_size = 32
xla = false  # compiling would take longer than these few steps
precision = "float32"
[quantize]
epochs = 1
learning_rate = 1e-4  # a net this raw must not change before the gate
"""

GATE = """
[gate]
# A net this raw predicts otherwise after every step: only its accuracy is checked.
accuracy_drop = 0.01
class_recall_drop = inf
agreement = 0
calibration_error = inf
label_order = inf
"""


def edgefer(*words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does; its exit status must be `status`."""
    command = [sys.executable, "-m", "edgefer.cli", *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", 2000, 200, 1000)


@pytest.fixture(scope="module")
def run(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cycle")
    recipe = folder / "raw.toml"
    recipe.write_text(RECIPE)
    edgefer("train", "--recipe", recipe, "--data", faces, "--out", folder / "run")
    edgefer("quantize", "--run", folder / "run", "--data", faces)
    return folder / "run"


@pytest.fixture(scope="module")
def gate(run: Path) -> Path:
    path = run.parent / "gate.toml"
    path.write_text(GATE)
    return path


@pytest.fixture(scope="module")
def bundle(run: Path, faces: Path, gate: Path) -> Path:
    out = run.parent / "bundle"
    edgefer("convert", "--run", run, "--data", faces, "--gate", gate, "--out", out)
    return out


def test_the_int8_file_holds_no_float_and_takes_int8(bundle: Path) -> None:
    model = open_bundle(bundle).read("int8")
    assert {tensor.dtype for tensor in tflite_tensors(model)} <= {"int8", "int32", "int64"}
    assert [tensor.dtype for tensor in tflite_tensors(model, "inputs")] == ["int8"]
    assert [tensor.dtype for tensor in tflite_tensors(model, "outputs")] == ["int8"] * 2


def test_the_int8_input_is_the_grey_level_less_128(bundle: Path) -> None:
    affine = open_bundle(bundle).manifest.input.affine
    assert affine.zero_point == -128
    assert affine.scale == pytest.approx(1 / 255, rel=1e-3)


def test_the_manifest_has_what_evaluate_measures(bundle: Path, faces: Path) -> None:
    manifest = json.loads(edgefer("model", "inspect", bundle, "--json").stdout)
    scores = manifest["heads"][0]["calibration"]["scores"]
    for format in ("int8", "onnx", "onnx-int8"):
        words = ("evaluate", bundle, "--data", faces, "--format", format, "--json")
        measured = json.loads(edgefer(*words).stdout)
        assert measured["n"] == 1000
        assert measured["accuracy"] == pytest.approx(scores[format]["accuracy"], abs=1e-6)
        assert measured["accuracy_leak_free"] == pytest.approx(
            scores[format]["accuracy_leak_free"], abs=1e-6
        )
    assert scores["onnx"]["agreement_with_float"] > 0.995
    assert scores["onnx-int8"]["agreement_with_float"] == pytest.approx(
        scores["int8"]["agreement_with_float"], abs=0.01
    )


def test_the_card_has_the_figures_and_uses_to_avoid(bundle: Path) -> None:
    card = (bundle / "MODEL_CARD.md").read_text()
    accuracy = open_bundle(bundle).manifest.heads[0].calibration.scores["int8"].accuracy
    assert f"| int8 | {accuracy:.2%} |" in card
    assert "not feelings" in card
    assert "Not for hiring" in card


def test_the_bundle_drives_the_daemon_on_a_clip(bundle: Path, data: Path) -> None:
    clip = data / "clips" / "single_face.mp4"
    words = ("run", "--model", bundle, "--camera", f"file:{clip}", "--sink", "jsonl:-")
    lines = [json.loads(line) for line in edgefer(*words).stdout.splitlines()]
    assert len(lines) == 72
    tracks = {face["track"] for line in lines for face in line["faces"]}
    assert len(tracks) == 1
    assert set(lines[-1]["faces"][0]["probabilities"]) == set(
        open_bundle(bundle).manifest.decoder().labels
    )


def test_the_daemon_publishes_to_a_broker_and_a_page(
    bundle: Path, data: Path, tmp_path: Path
) -> None:
    clip, port = data / "clips" / "single_face.mp4", free_port()
    with Mosquitto(tmp_path).running() as broker:
        command = [sys.executable, "-m", "edgefer.cli", "run", "--model", str(bundle)]
        command += ["--camera", f"file:{clip}?pace=real&loop=1"]
        command += ["--sink", f"mqtt://127.0.0.1:{broker.port}/mirror"]
        command += ["--sink", f"mirror:127.0.0.1:{port}"]
        with running(command) as daemon:
            state = asyncio.run(first_mood(broker.port))
            with chromium() as page:
                page.get(f"http://127.0.0.1:{port}/")
                # Asked in one go: between finding the element and reading it, it may be replaced.
                mood = "return document.querySelector('#mood').textContent.trim()"
                WebDriverWait(page, 60).until(lambda driver: driver.execute_script(mood) in SHOWN)
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(10) == 0
    assert state["faces"] == 1
    assert state["mood"] in {*open_bundle(bundle).manifest.decoder().labels, "unknown"}


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that a failed test does not leave behind, nor wait for."""
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.kill()


SHOWN = {*FER2013, "not sure"}
"""What the page can show for a face."""


async def first_mood(port: int) -> dict[str, object]:
    """Return the first state on the broker with a face."""
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("mirror/state")
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            state: dict[str, object] = json.loads(message.payload)
            if state["mood"] is not None:
                return state
    raise AssertionError("the broker went away")


def test_other_data_than_it_was_trained_on_is_refused(run: Path, data: Path) -> None:
    out = run.parent / "other"
    for words in (("quantize",), ("convert", "--out", out)):
        done = edgefer(*words, "--run", run, "--data", data, status=1)
        assert re.match("edgefer: fer2013: not the images that ", done.stderr.splitlines()[-1])
    assert not out.exists()


def test_a_model_that_int8_ruins_is_refused_and_the_old_bundle_stays(
    run: Path, bundle: Path, faces: Path, gate: Path, tmp_path: Path
) -> None:
    ruined = shutil.copytree(run, tmp_path / "run")
    with h5py.File(ruined / "qat.h5", "r+") as model:
        model["model_weights/quant_fer2013"].visititems(wipe_kernel)
    before = (bundle / "manifest.json").read_bytes()
    words = ("--run", ruined, "--data", faces, "--gate", gate, "--out", bundle)
    error = edgefer("convert", *words, status=1).stderr.splitlines()[-1]
    assert re.match(
        r"edgefer: .*accuracy drop of int8, fer2013 is \d+\.\d\d%, expected at most 1\.00%", error
    )
    assert (bundle / "manifest.json").read_bytes() == before


def wipe_kernel(name: str, item: h5py.Dataset | h5py.Group) -> None:
    if name.endswith("kernel:0"):
        item[...] = 0
