"""`edgefer export microcontroller`: its C, built, against Python; its model in TFLite Micro."""

from __future__ import annotations

import ctypes
import importlib
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from click.testing import CliRunner
from msgspec.structs import replace

from edgefer.bundle import Bundle, open_bundle
from edgefer.cli import main
from edgefer.messages import Box
from edgefer.preprocess import Preprocess
from edgefer.runtime import open_classifier
from edgefer_device.export.contract import contract_of
from edgefer_device.export.microcontroller import microcontroller_files

FACES = int(os.environ.get("MICRO_FACES", "0"))
"""Faces to run, for docs/hardware.md: reference kernels take a fifth of a second each."""
ARENA = 40 * 48 * 48
"""Bytes that the exported example begins with."""
SIDES = (20, 33, 47, 48, 49, 61, 96, 100, 141, 144, 211)


class Image(ctypes.Structure):
    _fields_ = [("pixels", ctypes.c_char_p), ("width", ctypes.c_int), ("height", ctypes.c_int)]


class CBox(ctypes.Structure):
    _fields_ = [(name, ctypes.c_double) for name in ("left", "top", "width", "height")]


def export(model: str | Path, out: Path) -> None:
    done = CliRunner().invoke(
        main, ["export", "microcontroller", "--model", str(model), "--out", str(out)]
    )
    assert done.exit_code == 0, done.stderr


def build(folder: Path) -> ctypes.CDLL:
    """Compile the exported C into a library, warnings as errors."""
    compiler = shutil.which("cc")
    assert compiler, "the tests need a C compiler: apt install gcc"
    flags = ("-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-pedantic")
    sources = [str(folder / name) for name in ("edgefer_face.c", "edgefer_model.c")]
    library = folder / "face.so"
    subprocess.run(
        [compiler, *flags, "-shared", "-fPIC", *sources, "-o", library, "-lm"], check=True
    )
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "tiny"
    export("tiny", out)
    return out


@pytest.fixture(scope="module")
def library(folder: Path) -> ctypes.CDLL:
    return build(folder)


def crop(library: ctypes.CDLL, grey: np.ndarray, box: Box) -> np.ndarray | None:
    face = ctypes.create_string_buffer(48 * 48)
    image = Image(grey.tobytes(), grey.shape[1], grey.shape[0])
    status = library.edgefer_crop(image, CBox(box.left, box.top, box.width, box.height), face)
    return None if status else np.frombuffer(face.raw, np.uint8).reshape(48, 48)


@pytest.mark.parametrize("side", SIDES)
def test_a_face_is_cut_as_python_cuts_it(side: int, library: ctypes.CDLL) -> None:
    grey = np.random.default_rng(side).integers(0, 256, (240, 320), np.uint8)
    for left, top in ((60.2, 20.7), (-side / 3, 5.5), (320 - side / 2, 240 - side / 2)):
        box = Box(left, top, float(side), side + 1.3)
        found = crop(library, grey, box)
        assert found is not None
        assert np.array_equal(found, Preprocess().crop(grey, box))


@pytest.mark.parametrize(
    "box", [Box(10, 10, 0, 20), Box(400, 10, 30, 30), Box(10, -90, 30, 30), Box(0, 0, -1, 5)]
)
def test_a_box_without_a_face_is_an_error(box: Box, library: ctypes.CDLL) -> None:
    assert crop(library, np.zeros((240, 320), np.uint8), box) is None


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("tiny", FACES or 60),
        pytest.param("small", FACES or 60, marks=pytest.mark.slow),
    ],
)
def test_the_model_runs_in_tensorflow_lite_micro(
    model: str, count: int, data: Path, tmp_path: Path
) -> None:
    """From real faces to probabilities: C around the interpreter of microcontrollers."""
    runtime = importlib.import_module("tflite_micro").runtime  # it has no types

    export(model, tmp_path / "c")
    library, bundle = build(tmp_path / "c"), open_bundle(model)
    content = bundle.read("int8")
    linked = (ctypes.c_ubyte * len(content)).in_dll(library, "edgefer_model")
    assert bytes(linked) == content
    with np.load(data / "fer2013.npz") as arrays:
        faces = arrays["images"][arrays["usage"] == 1][:count]
    micro = runtime.Interpreter.from_bytes(bytes(linked), arena_size=ARENA)
    reference = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    reference.allocate_tensors()
    decoder = bundle.manifest.decoder(format="int8")
    fast = open_classifier(bundle).logits(faces)
    labels = len(bundle.manifest.heads[0].labels)
    as_fast = equal = same = 0
    for face, row in zip(faces, fast, strict=True):
        tensor = np.empty((1, 48, 48, 1), np.int8)
        library.edgefer_quantize(face.tobytes(), tensor.ctypes.data_as(ctypes.c_void_p))
        micro.set_input(tensor, 0)
        micro.invoke()
        outputs = [micro.get_output(at).copy() for at in range(len(bundle.manifest.heads))]
        reference.set_tensor(reference.get_input_details()[0]["index"], tensor)
        reference.invoke()
        expected = [reference.get_tensor(one["index"]) for one in reference.get_output_details()]
        distances = [
            np.abs(one.astype(int) - other).max()
            for one, other in zip(outputs, expected, strict=True)
        ]
        # The two references of TensorFlow differ by a step now and then.
        assert max(distances) <= 1
        equal += max(distances) == 0
        same += all(
            one.argmax() == other.argmax() for one, other in zip(outputs, expected, strict=True)
        )
        logits = [
            head.affine.dequantize(one)
            for head, one in zip(bundle.manifest.heads, outputs, strict=True)
        ]
        wanted = decoder.probabilities(np.concatenate(logits, axis=-1))[0]
        assert np.allclose(probabilities(library, outputs, len(wanted)), wanted, atol=1e-5)
        as_fast += outputs[0].argmax() == row[:labels].argmax()
    print(f"{model}: an arena of {least_arena(runtime, content):,} bytes")
    print(f"{model}: {as_fast} with the label of LiteRT's fast kernels")
    print(f"{model}: {equal} of {count} faces equal to the bit, {same} with the same labels")
    assert as_fast >= 0.95 * count
    assert equal >= 0.95 * count
    assert same >= 0.99 * count


def probabilities(library: ctypes.CDLL, outputs: list[np.ndarray], labels: int) -> np.ndarray:
    pointers = (ctypes.c_void_p * len(outputs))(*[one.ctypes.data for one in outputs])
    found = (ctypes.c_float * labels)()
    library.edgefer_probabilities(pointers, found)
    return np.array(found)


def test_labels_and_sources_are_c_that_a_stranger_compiles(folder: Path) -> None:
    header, source = ((folder / f"edgefer_model.{end}").read_text() for end in "hc")
    assert "#define EDGEFER_SIDE 48 " in header
    assert '"angry", "disgust"' in source
    readme = (folder / "README.md").read_text()
    assert "$" not in readme
    assert "`SPACE_TO_DEPTH`" in readme
    assert "resolver.AddSpaceToDepth();" in (folder / "example.cc").read_text()


@pytest.mark.parametrize("format", ["int8", "ethos-u"])
def test_a_file_with_one_head_has_one_output(format: str) -> None:
    """Other formats of the bundle may have more."""
    bundle = open_bundle("small")
    one = replace(bundle.manifest.files["int8"], head="fer2013")
    manifest = replace(bundle.manifest, files={**bundle.manifest.files, format: one})
    contents = {**bundle.contents, format: bundle.read("int8")}
    files = microcontroller_files(Bundle(bundle.path, manifest, contents))
    header = files["edgefer_model.h"].decode()
    assert "#define EDGEFER_OUTPUTS 1\n" in header
    assert "#define EDGEFER_TERMS 1\n" in header
    assert f"{manifest.heads[0].calibration.threshold!r}f" in header


def test_the_page_knows_the_outputs_of_its_file() -> None:
    manifest = open_bundle("small").manifest
    one = replace(manifest.files["int8"], head="fer2013")
    found = contract_of(replace(manifest, files={**manifest.files, "int8": one}), {})
    assert found.outputs == (manifest.heads[0].affine,)


def test_a_bundle_for_an_ethos_u_brings_its_operation(tmp_path: Path) -> None:
    words = ("--target", "ethos-u55-128", "--out", str(tmp_path / "bundle"))
    done = CliRunner().invoke(main, ["model", "compile", "tiny", *words])
    assert done.exit_code == 0, done.stderr
    export(tmp_path / "bundle", tmp_path / "out")
    assert "resolver.AddEthosU();" in (tmp_path / "out" / "example.cc").read_text()
    build(tmp_path / "out")


def least_arena(runtime: ModuleType, content: bytes) -> int:
    """The bytes that the interpreter takes at least, between none and what the export writes."""
    low, high = 0, ARENA
    while high - low > 1:
        middle = (low + high) // 2
        try:
            runtime.Interpreter.from_bytes(content, arena_size=middle)
        except RuntimeError:
            low = middle
        else:
            high = middle
    return high
