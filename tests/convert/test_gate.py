from __future__ import annotations

import msgspec

from edgefer.metrics import Scores
from edgefer_convert.gate import judge

FLOAT = Scores(
    accuracy=0.66,
    accuracy_leak_free=0.64,
    n=3589,
    n_leak_free=3254,
    macro_f1=0.6,
    calibration_error=0.02,
    agreement_with_float=1.0,
    per_class={},
)


def scored(accuracy: float) -> Scores:
    return msgspec.structs.replace(FLOAT, accuracy=accuracy)


def test_a_drop_under_a_point_passes() -> None:
    gate = judge({"float": FLOAT, "int8": scored(0.651), "onnx-int8": scored(0.67)})
    assert gate.passed
    assert [check.name for check in gate.checks] == [
        "accuracy drop of int8",
        "accuracy drop of onnx-int8",
    ]


def test_a_drop_over_a_point_fails_and_is_measured() -> None:
    gate = judge({"float": FLOAT, "int8": scored(0.649), "onnx-int8": scored(0.66)})
    assert not gate.passed
    assert [check.passed for check in gate.checks] == [False, True]
    assert round(gate.checks[0].measured, 4) == 0.011
