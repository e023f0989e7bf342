"""The gate: each check by itself, its limits and exemptions."""

from __future__ import annotations

import dataclasses
import getpass
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgefer.errors import GateFailed, SettingsError, UnknownKey
from edgefer.manifest import Check
from edgefer.metrics import ClassScore, Scores
from edgefer_convert.gate.checks import planned, require_known, require_passed, run_checks
from edgefer_convert.gate.limits import GateLimits, exemption, load_limits
from edgefer_convert.gate.measurements import Measurements

LABELS = ("angry", "disgust", "happy")
N = {"angry": 491, "disgust": 55, "happy": 879}


def scored(accuracy: float = 0.66, agreement: float = 1.0, **recalls: float) -> Scores:
    return Scores(
        accuracy=accuracy,
        accuracy_leak_free=accuracy,
        n=3589,
        n_leak_free=3254,
        macro_f1=0.6,
        calibration_error=0.02,
        agreement_with_float=agreement,
        per_class={
            label: ClassScore(N[label], 0.6, recalls.get(label, 0.6), 0.6) for label in LABELS
        },
    )


def measured(int8: Scores, **changes: object) -> Measurements:
    same = np.zeros(200, np.int64)
    whole = Measurements(
        head="fer2013",
        scores={"float": scored(), "int8": int8, "onnx-int8": scored()},
        predictions={"int8": same, "onnx-int8": same},
        bytes={"int8": 350_000, "onnx-int8": 340_000},
        macs=16_000_000,
        float_tensors={"int8": ()},
        confusion=np.diag([10, 10, 10]),
        edgetpu_mapped=None,
    )
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]  # by each test


def failed(one: Measurements, limits: GateLimits | None = None) -> list[Check]:
    return [check for check in run_checks([one], limits).checks if not check.passed]


def only(checks: list[Check]) -> Check:
    (check,) = checks
    return check


def test_a_model_as_good_as_float_passes_every_check() -> None:
    gate = run_checks([measured(scored())])
    assert gate.passed
    assert {check.name for check in gate.checks} == {
        *(
            f"{name} of {format}"
            for name in ("accuracy drop", "worst class", "calibration error", "size")
            for format in ("int8", "onnx-int8")
        ),
        "float tensors of int8",
        "int8 = float",
        "onnx-int8 = float",
        "onnx-int8 = int8",
        "multiply-accumulates",
        "labels out of order",
    }


def test_half_a_point_of_accuracy_may_be_lost_and_no_more() -> None:
    assert failed(measured(scored(0.655))) == []
    check = only(failed(measured(scored(0.6549))))
    assert check.name == "accuracy drop of int8"
    assert check.found == "0.51%"
    assert check.wanted == "at most 0.50%"


def test_a_small_class_may_lose_two_images_whatever_their_share() -> None:
    assert failed(measured(scored(disgust=0.6 - 2 / 55))) == []
    check = only(failed(measured(scored(disgust=0.6 - 3 / 55))))
    assert check.name == "worst class of int8"
    assert check.found == "5.45% (disgust, 55 images)"
    assert check.limit == pytest.approx(2 / 55)


def test_a_large_class_may_lose_three_points() -> None:
    assert failed(measured(scored(happy=0.571))) == []
    check = only(failed(measured(scored(happy=0.569, disgust=0.58))))
    assert check.found == "3.10% (happy, 879 images)"


def test_fewer_than_97_of_100_labels_like_float_fail() -> None:
    assert failed(measured(scored(agreement=0.97))) == []
    check = only(failed(measured(scored(agreement=0.969))))
    assert (check.name, check.wanted) == ("int8 = float", "at least 97.00%")


def test_probabilities_that_are_off_fail() -> None:
    off = msgspec.structs.replace(scored(), calibration_error=0.051)
    assert only(failed(measured(off))).name == "calibration error of int8"


def test_a_float_tensor_fails_by_its_name() -> None:
    check = only(failed(measured(scored(), float_tensors={"int8": ("island", "sea")})))
    assert check.found == "2 tensors (island)"


def test_a_file_or_a_net_too_large_fails() -> None:
    large = measured(scored(), bytes={"int8": 1_000_001, "onnx-int8": 1}, macs=60_100_000)
    assert [check.found for check in failed(large)] == ["1,000,001 bytes", "60.1 MMAC"]


def test_two_formats_of_one_model_that_predict_differently_fail() -> None:
    other = np.zeros(200, np.int64)
    other[:3] = 1
    predictions = {"int8": np.zeros(200, np.int64), "onnx-int8": other}
    check = only(failed(measured(scored(), predictions=predictions)))
    assert (check.name, check.found) == ("onnx-int8 = int8", "98.50%")


def test_labels_that_would_do_better_the_other_way_round_fail() -> None:
    exchanged = np.array([[2, 8, 0], [7, 3, 0], [0, 1, 9]])
    check = only(failed(measured(scored(), confusion=exchanged)))
    assert check.name == "labels out of order"
    assert check.found == "33.33% (angry and disgust)"


def test_the_edge_tpu_is_checked_only_on_demand() -> None:
    limits = GateLimits(edgetpu_mapped=1.0)
    assert failed(measured(scored(), edgetpu_mapped=0.9)) == []
    assert only(failed(measured(scored(), edgetpu_mapped=0.9), limits)).found == "90.00%"
    assert failed(measured(scored(), edgetpu_mapped=1.0), limits) == []


def test_each_head_is_checked_and_the_files_once() -> None:
    heads = [measured(scored()), measured(scored(accuracy=0.62), head="ferplus")]
    gate = run_checks(heads)
    failures = [check.name for check in gate.checks if not check.passed]
    assert failures == ["accuracy drop of int8, ferplus"]
    names = [check.name for check in gate.checks]
    assert names.count("size of int8") == 1
    assert "labels out of order, fer2013" in names
    formats = ["int8", "onnx-int8"]
    assert names == [name for name, _ in planned(dict.fromkeys(("fer2013", "ferplus"), formats),
                                                 GateLimits())]  # fmt: skip


def test_a_check_is_left_out_by_its_limit() -> None:
    off = GateLimits(bytes=math.inf, mmac=math.inf, label_order=math.inf, parity=0, agreement=0)
    names = [name for name, _ in planned({"fer2013": ["int8", "onnx-int8"]}, off)]
    assert [name for name in names if "=" in name or "size" in name] == []
    assert "multiply-accumulates" not in names


def test_the_worst_of_several_failures_is_named() -> None:
    gate = run_checks([measured(scored(accuracy=0.62, agreement=0.95))])
    with pytest.raises(
        GateFailed, match=r"accuracy drop of int8 is 4\.00%.*\(and 1 more\)"
    ) as info:
        require_passed(gate)
    assert info.value.verdict == gate


def test_one_check_can_be_allowed_to_fail_by_someone_for_a_reason() -> None:
    allowed = exemption("int8 = float", "the\nnew labels are better")
    gate = run_checks([measured(scored(agreement=0.95))], exemption=allowed)
    assert gate.passed
    check = only([one for one in gate.checks if not one.passed])
    assert check.allowed is not None
    assert check.allowed.by.startswith(f"{getpass.getuser()}@")
    assert check.verdict.endswith(": the new labels are better")
    worse = measured(scored(accuracy=0.6, agreement=0.95))
    assert not run_checks([worse], exemption=allowed).passed


def test_a_check_that_passes_needs_no_exemption() -> None:
    gate = run_checks([measured(scored())], exemption=exemption("int8 = float", "to be sure"))
    assert all(check.allowed is None for check in gate.checks)


@pytest.mark.parametrize(("allow", "because"), [("x", None), (None, "why"), ("x", " ")])
def test_an_exemption_requires_a_name_and_a_reason(allow: str | None, because: str | None) -> None:
    with pytest.raises(SettingsError, match="--allow NAME requires --because TEXT"):
        exemption(allow, because)


def test_an_exemption_for_no_check_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'size of int8'"):
        require_known("size of int", {"fer2013": ["int8"]}, GateLimits())


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[gate]\nagrement = 0.9\n", UnknownKey, "did you mean 'gate.agreement'"),
        ("[gates]\n", UnknownKey, "did you mean 'gate'"),
        ("[gate]\nagreement = 'high'\n", SettingsError, "agreement must be a number, got a text"),
        ("[gate]\nmmac = -1\n", SettingsError, "mmac must be 0 or more, got -1"),
    ],
)
def test_invalid_limits_are_refused(
    text: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(text)
    with pytest.raises(error, match=message):
        load_limits(path)


def test_limits_come_from_their_table_and_the_rest_is_as_before(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text("[gate]\nbytes = 100000\nmmac = inf\n")
    assert load_limits(path) == GateLimits(bytes=100_000, mmac=math.inf)
