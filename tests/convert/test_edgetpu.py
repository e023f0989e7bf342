from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgefer.bundle import open_bundle
from edgefer.cli import main
from edgefer.errors import ConversionError
from edgefer_convert.formats.edgetpu.compiler import INSTALL_HINT, compile_for_edgetpu, parse_report
from edgefer_convert.formats.edgetpu.support import Support, check_support
from support.edgetpu_compiler import (
    DONE,
    PARTIAL_TABLE,
    PARTLY,
    REFUSES,
    SUMMARY,
    WHOLE_TABLE,
    install,
    install_compiler,
)
from support.tflite_files import Op, Tensor, constant, tflite

FEATURES = Tensor((1, 6, 6, 8))
KERNEL = Tensor((8, 3, 3, 8), content=np.ones((8, 3, 3, 8), np.int8))
BIAS = Tensor((8,), "int32", 0.01, np.zeros(8, np.int32))


def convolution(version: int = 3, **options: int) -> bytes:
    step = Op("CONV_2D", (0, 1, 2), (3,), version, "Conv2D", options)
    return tflite([FEATURES, KERNEL, BIAS, FEATURES], [step])


def only(support: Support) -> tuple[bool, str]:
    """Whether the one operation is mapped, and why not."""
    (op,) = support.ops
    return op.mapped, op.reason


def test_the_shipped_model_would_run_on_the_edge_tpu_whole() -> None:
    support = check_support(open_bundle("small").read("int8"))
    assert support.mapped_share == 1
    assert support.passed
    assert {op.name for op in support.ops} >= {"CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED"}
    assert "would run on the Edge TPU" in support.summary
    assert support.summary.endswith("fit on chip")


def test_a_version_that_the_compiler_does_not_know_refuses_the_whole_file() -> None:
    assert check_support(convolution(version=5)).passed
    support = check_support(convolution(version=6))
    assert not support.passed
    assert support.mapped_share == 0
    assert support.refused == "CONV_2D version 6: the compiler knows versions up to 5"
    assert support.ops[0].source.endswith("runtime_version.cc")


def test_an_operation_that_is_newer_than_the_compiler_refuses_the_whole_file() -> None:
    content = tflite([FEATURES, FEATURES], [Op("GELU", (0,), (1,), kind="Gelu")])
    assert check_support(content).refused.startswith("GELU is newer than TensorFlow 2.5")


def test_an_operation_that_the_edge_tpu_lacks_stays_on_the_cpu() -> None:
    content = tflite([FEATURES, FEATURES], [Op("HARD_SWISH", (0,), (1,), kind="HardSwish")])
    assert only(check_support(content)) == (False, "is not an operation of the Edge TPU")


def test_what_follows_an_operation_on_the_cpu_stays_there_too() -> None:
    steps = [
        Op("LOGISTIC", (0,), (1,)),
        Op("HARD_SWISH", (1,), (2,), kind="HardSwish"),
        Op("LOGISTIC", (2,), (3,)),
        Op("TANH", (1,), (4,)),
        Op("ADD", (3, 4), (5,), kind="Add"),
    ]
    support = check_support(tflite([FEATURES] * 6, steps))
    assert [op.mapped for op in support.ops] == [True, False, False, True, False]
    assert support.ops[2].reason == "comes after an operation on the CPU"
    assert support.mapped_share == pytest.approx(0.4)


def test_an_operation_on_the_cpu_at_the_start_costs_itself_alone() -> None:
    steps = [Op("QUANTIZE", (0,), (1,), kind="Quantize"), Op("LOGISTIC", (1,), (2,))]
    support = check_support(
        tflite([Tensor((1, 8), "float32", None), Tensor((1, 8)), Tensor((1, 8))], steps)
    )
    assert [op.mapped for op in support.ops] == [False, True]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (convolution(dilationWFactor=2), "is dilated differently in x and y"),
        (
            tflite([Tensor((1, 8), "float32")] * 2, [Op("LOGISTIC", (0,), (1,))]),
            "works on other types than int8 and uint8",
        ),
        (
            tflite([Tensor((1, 8), scale=None)] * 2, [Op("LOGISTIC", (0,), (1,))]),
            "has a tensor without quantization",
        ),
        (
            tflite([Tensor((-1, 8))] * 2, [Op("LOGISTIC", (0,), (1,))]),
            "has a dynamic shape",
        ),
        (
            tflite([Tensor((3, 6, 6, 8))] * 2, [Op("LOGISTIC", (0,), (1,))]),
            "has a tensor of more than 3 dimensions larger than 1",
        ),
        (
            tflite(
                [FEATURES, Tensor(KERNEL.shape), BIAS, FEATURES],
                [Op("CONV_2D", (0, 1, 2), (3,), 3, "Conv2D")],
            ),
            "has weights or parameters that are not constant",
        ),
        (
            tflite(
                [FEATURES, Tensor((1, 3, 3, 8))],
                [Op("MAX_POOL_2D", (0,), (1,), 2, "Pool2D", {"fusedActivationFunction": 1})],
            ),
            "has a fused activation",
        ),
        (
            tflite(
                [FEATURES, constant([0, 1]), Tensor((6, 8))],
                [Op("MEAN", (0, 1), (2,), 2, "Reducer")],
            ),
            "reduces over the batch",
        ),
        (
            tflite(
                [Tensor((1, 6, 6, 7)), constant([-1]), Tensor((1, 6, 6))],
                [Op("MEAN", (0, 1), (2,), 2, "Reducer")],
            ),
            "reduces channels that are not a multiple of 4",
        ),
        (
            tflite(
                [FEATURES, Tensor((4, 2), "int32", None, np.ones((4, 2), np.int32)), FEATURES],
                [Op("PAD", (0, 1), (2,), 2, "Pad")],
            ),
            "pads the batch",
        ),
        (
            tflite(
                [Tensor((2, 8)), Tensor((4, 8), content=np.ones((4, 8), np.int8)), Tensor((2, 4))],
                [Op("FULLY_CONNECTED", (0, 1), (2,), 4, "FullyConnected")],
            ),
            "has more than one output row",
        ),
        (
            tflite([Tensor((1, 20_000))] * 2, [Op("SOFTMAX", (0,), (1,), 2, "Softmax")]),
            "has more than one input row of 16,000",
        ),
        (
            tflite(
                [FEATURES, Tensor((1, 6, 6, 8), content=np.ones((1, 6, 6, 8), np.int8)), FEATURES],
                [Op("CONCATENATION", (0, 1), (2,), 2, "Concatenation")],
            ),
            "joins a constant other than zeros, or beside more than one input",
        ),
        (
            tflite(
                [FEATURES, constant([0] * 4), constant([6] * 4), constant([1, 2, 2, 1]), FEATURES],
                [Op("STRIDED_SLICE", (0, 1, 2, 3), (4,), 2, "StridedSlice")],
            ),
            "has strides other than 1",
        ),
    ],
)
def test_each_published_limit_is_reported_with_its_source(content: bytes, reason: str) -> None:
    support = check_support(content)
    assert only(support) == (False, reason)
    assert support.ops[0].source.startswith("coral.ai/docs/edgetpu/models-intro")


def test_what_only_the_compiler_knows_is_in_doubt() -> None:
    step = Op("RESIZE_BILINEAR", (0, 1), (2,), kind="ResizeBilinear")
    content = tflite([FEATURES, constant([12, 12]), Tensor((1, 12, 12, 8))], [step])
    assert only(check_support(content)) == (True, "may stay on the CPU, by its sizes")


def test_a_file_with_a_loop_is_refused() -> None:
    content = tflite([FEATURES] * 2, [Op("LOGISTIC", (0,), (1,))], graphs=2)
    assert check_support(content).refused.startswith("the file has 2 graphs")


def test_a_report_of_a_whole_model_is_read() -> None:
    report = parse_report(SUMMARY + WHOLE_TABLE + DONE)
    assert report.version == "16.0.384591198"
    assert (report.on_tpu, report.on_cpu, report.subgraphs) == (14, 0, 1)
    assert report.on_chip_bytes == round(341.5 * 1024)
    assert report.off_chip_bytes == 0
    assert report.mapped_share == 1


def test_a_report_of_a_part_has_why_the_rest_is_on_the_cpu() -> None:
    report = parse_report(SUMMARY + PARTLY + PARTIAL_TABLE + DONE)
    assert (report.on_tpu, report.on_cpu) == (11, 3)
    assert [line.status for line in report.ops if not line.mapped] == [
        "More than one subgraph is not supported",
        "Operation is otherwise supported, but not mapped due to some unspecified limitation",
        "Operation is working on an unsupported data type",
    ]
    assert "11 operations on the Edge TPU, 3 on the CPU (79% mapped)" in report.summary


def test_megabytes_off_chip_are_read() -> None:
    output = SUMMARY.replace("parameters: 0.00B", "parameters: 1.70MiB")
    assert parse_report(output, WHOLE_TABLE).off_chip_bytes == round(1.7 * 2**20)


def test_output_without_a_table_is_no_report() -> None:
    with pytest.raises(ConversionError, match="lists no operation"):
        parse_report("Edge TPU Compiler version 16.0.384591198\n")


CRASHES = "#!/bin/sh\necho 'Internal compiler error. Aborting! '\n"
SLEEPS = "#!/bin/sh\nexec sleep 60\n"


def test_without_a_compiler_nothing_is_compiled_and_the_hint_names_files(bare_path: Path) -> None:
    assert not list(bare_path.iterdir())
    assert compile_for_edgetpu(b"model") is None
    assert INSTALL_HINT.startswith("not compiled: edgetpu_compiler is not on PATH")
    root = Path(__file__).parents[2]
    named = re.findall(r"convert/\S+?(?=[,:\s])", INSTALL_HINT.replace("PATH=", ""))
    assert named == ["convert/Dockerfile.edgetpu", "convert/edgetpu"]
    assert all((root / path).exists() for path in named)


def test_a_compiler_on_path_compiles_and_its_report_is_read(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_compiler(bare_path, monkeypatch)
    done = compile_for_edgetpu(b"model ")
    assert done is not None
    assert done.content == b"model compiled\n"
    assert (done.report.on_tpu, done.report.on_cpu) == (14, 0)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (REFUSES, "refused the file: Didn't find op for builtin opcode 'CONV_2D' version '6'"),
        (CRASHES, "wrote no file: Internal compiler error. Aborting!"),
        ("#!/bin/sh\n", "wrote no file: it printed nothing"),
        ("#!/nowhere/sh\n", "could not be run: No such file"),
    ],
)
def test_a_compiler_that_fails_is_reported_in_one_line(
    bare_path: Path, script: str, message: str
) -> None:
    install(bare_path, script)
    with pytest.raises(ConversionError, match=re.escape(message)) as caught:
        compile_for_edgetpu(b"model")
    assert "\n" not in str(caught.value)


def test_a_compiler_that_hangs_is_stopped(bare_path: Path) -> None:
    install(bare_path, SLEEPS)
    with pytest.raises(ConversionError, match="did not finish within 0 s"):
        compile_for_edgetpu(b"model", timeout=0.2)


DOCKER = """\
#!/bin/sh
# Stands for a container: runs the compiler where the last volume points.
while [ "$1" != edgefer-edgetpu ]; do
    case "$1" in *:/work) cd "${1%:/work}" ;; esac
    shift
done
shift
exec "$INSIDE/edgetpu_compiler" "$@"
"""


def test_the_wrapper_runs_the_compiler_in_a_container(
    bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    install_compiler(inside, monkeypatch)
    monkeypatch.setenv("INSIDE", str(inside))
    install(bare_path, DOCKER, "docker")
    wrapper = Path(__file__).parents[2] / "convert" / "edgetpu" / "edgetpu_compiler"
    shutil.copy(wrapper, bare_path)
    assert os.access(wrapper, os.X_OK)
    done = compile_for_edgetpu(b"model ")
    assert done is not None
    assert done.report.on_tpu == 14


def edgefer(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_the_verb_checks_the_shipped_model_and_has_the_hint(bare_path: Path) -> None:
    done = edgefer("model", "edgetpu", "small", "--strict")
    assert done.exit_code == 0
    assert "operations would run on the Edge TPU" in done.stdout
    assert INSTALL_HINT in done.stdout
    refused = edgefer("model", "edgetpu", "small", "--out", bare_path / "model.edgetpu.tflite")
    assert refused.exit_code == 1
    assert re.match(r"edgefer: .*: nothing to write: not compiled: ", refused.stderr)
    assert not list(bare_path.iterdir())


def test_the_verb_writes_what_the_compiler_made(
    bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_compiler(bare_path, monkeypatch)
    out = tmp_path / "model.edgetpu.tflite"
    done = edgefer("model", "edgetpu", "small", "--out", out, "--json")
    report = json.loads(done.stdout)["report"]
    assert sum(line["count"] for line in report["ops"]) == 14
    assert out.read_bytes().endswith(b"compiled\n")
    done = edgefer("model", "edgetpu", "small", "--out", tmp_path)
    assert "cannot be written: Is a directory" in done.stderr


def test_strict_is_an_exit_status_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "new.tflite").write_bytes(convolution(version=6))
    assert edgefer("model", "edgetpu", tmp_path / "new.tflite").exit_code == 0
    done = edgefer("model", "edgetpu", tmp_path / "new.tflite", "--strict")
    assert done.exit_code == 1
    assert "would refuse the file: CONV_2D version 6" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("junk.tflite", b"junk", "junk.tflite: not a TFLite file"),
        ("none.tflite", None, "none.tflite: cannot be read: No such file"),
        ("nowhere", None, "nowhere: no such model bundle"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = edgefer("model", "edgetpu", tmp_path / name)
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_compiled_file_is_not_checked_again() -> None:
    step = Op("CUSTOM", (0,), (1,), custom="edgetpu-custom-op")
    with pytest.raises(ConversionError, match="mine: is compiled for the Edge TPU already"):
        check_support(tflite([FEATURES] * 2, [step]), "mine")
