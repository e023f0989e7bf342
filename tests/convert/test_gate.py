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
from edgefer.gate_limits import GateLimits
from edgefer.manifest import Check
from edgefer.metrics import ClassScore, Scores, calibration_error, error_by_chance
from edgefer_convert.gate.checks import (
    planned,
    require_known,
    require_passed,
    run_checks,
    worst_class,
)
from edgefer_convert.gate.limits import exemptions, load_limits
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
    return [check for check in run_checks([one], limits).checks if not check.accepted]


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
    gate = run_checks([measured(scored(0.659))])
    assert next(one for one in gate.checks if one.name == "accuracy drop of int8").passed
    check = only(failed(measured(scored(0.65))))
    assert check.name == "accuracy drop of int8"
    assert check.found == "1.00%"
    assert check.wanted == "at most 0.50%"


def test_a_small_class_may_lose_two_images_whatever_their_share() -> None:
    assert failed(measured(scored(disgust=0.6 - 2 / 55))) == []
    check = only(failed(measured(scored(disgust=0.6 - 6 / 55))))
    assert check.name == "worst class of int8"
    assert check.found == "10.91% (disgust, 55 images)"
    assert check.limit == pytest.approx(2 / 55)


def test_a_large_class_may_lose_three_points() -> None:
    assert failed(measured(scored(happy=0.571))) == []
    check = only(failed(measured(scored(happy=0.55, disgust=0.58))))
    assert check.found == "5.00% (happy, 879 images)"


@pytest.mark.parametrize(
    ("name", "int8"),
    [
        ("accuracy drop of int8", scored(0.6549)),
        ("worst class of int8", scored(disgust=0.6 - 3 / 55)),
        ("worst class of int8", scored(happy=0.569, disgust=0.58)),
        ("int8 = float", scored(agreement=0.969)),
    ],
)
def test_what_lies_just_beyond_a_limit_is_not_enough_to_tell(name: str, int8: Scores) -> None:
    gate = run_checks([measured(int8)])
    assert gate.passed
    check = only([one for one in gate.undecided if one.name == name])
    assert not check.passed
    assert check.verdict.startswith("not enough images to tell (95 %: ")


def test_fewer_than_97_of_100_labels_like_float_fail() -> None:
    assert failed(measured(scored(agreement=0.97))) == []
    check = only(failed(measured(scored(agreement=0.96))))
    assert (check.name, check.wanted) == ("int8 = float", "at least 97.00%")


def test_probabilities_that_are_off_fail() -> None:
    off = msgspec.structs.replace(scored(), calibration_error=0.071)
    by_chance = {"int8": 0.02}
    check = only(failed(measured(off, error_by_chance=by_chance)))
    assert check.name == "calibration error of int8"


@pytest.mark.parametrize("n", [150, 3589])
def test_a_calibrated_model_fails_with_no_number_of_images(n: int) -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        probabilities = random.dirichlet([0.5] * 7, n).astype(np.float32)
        labels = (random.random((n, 1)) > probabilities.cumsum(-1)[:, :-1]).sum(-1)
        one = msgspec.structs.replace(
            scored(), n=n, calibration_error=calibration_error(probabilities, labels)
        )
        chance = {"int8": error_by_chance(probabilities)}
        assert failed(measured(one, error_by_chance=chance)) == []
    # A share of overconfident predictions that any number of images shows.
    off = msgspec.structs.replace(one, calibration_error=0.2)
    assert only(failed(measured(off, error_by_chance=chance))).name == "calibration error of int8"


def test_of_150_images_one_that_differs_is_not_enough_to_tell() -> None:
    other = np.zeros(150, np.int64)
    other[0] = 1
    predictions = {"int8": np.zeros(150, np.int64), "onnx-int8": other}
    gate = run_checks([measured(scored(), predictions=predictions)])
    assert gate.passed
    check = only([one for one in gate.undecided if one.name == "onnx-int8 = int8"])
    assert not check.passed
    assert check.verdict == "not enough images to tell (95 %: 96.32% to 99.88%)"


def test_a_float_tensor_fails_by_its_name() -> None:
    check = only(failed(measured(scored(), float_tensors={"int8": ("island", "sea")})))
    assert check.found == "2 tensors (island)"


def test_a_file_or_a_net_too_large_fails() -> None:
    large = measured(scored(), bytes={"int8": 1_000_001, "onnx-int8": 1}, macs=60_100_000)
    assert [check.found for check in failed(large)] == ["1,000,001 bytes", "60.1 MMAC"]


def test_two_formats_of_one_model_that_predict_differently_fail() -> None:
    other = np.zeros(200, np.int64)
    other[:8] = 1
    predictions = {"int8": np.zeros(200, np.int64), "onnx-int8": other}
    check = only(failed(measured(scored(), predictions=predictions)))
    assert (check.name, check.found) == ("onnx-int8 = int8", "96.00%")


def test_labels_that_would_do_better_the_other_way_round_fail() -> None:
    exchanged = 10 * np.array([[2, 8, 0], [7, 3, 0], [0, 1, 9]])
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
    failures = [check.name for check in gate.checks if not check.accepted]
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


def test_what_the_limits_leave_out_is_on_record() -> None:
    gate = run_checks([measured(scored())], GateLimits(bytes=math.inf, mmac=math.inf))
    omitted = ("size of int8", "size of onnx-int8", "multiply-accumulates")
    assert sorted(gate.omitted) == sorted(omitted)
    assert run_checks([measured(scored())]).omitted == ()


def test_corruptions_are_checked_only_on_demand() -> None:
    limits = GateLimits(corruption_drop=0.1)
    assert failed(measured(scored(), corruption_drop=0.08), limits) == []
    assert only(failed(measured(scored(), corruption_drop=0.13), limits)).found == "13.00%"
    assert failed(measured(scored(), corruption_drop=0.13)) == []


def test_the_worst_of_several_failures_is_named() -> None:
    gate = run_checks([measured(scored(accuracy=0.62, agreement=0.95))])
    with pytest.raises(
        GateFailed, match=r"accuracy drop of int8 is 4\.00%.*\(and 1 more\)"
    ) as info:
        require_passed(gate)
    assert info.value.verdict == gate


def test_checks_can_be_allowed_to_fail_by_someone_for_a_reason() -> None:
    allowed = exemptions(["int8 = float"], ["the\nnew labels are better"])
    gate = run_checks([measured(scored(agreement=0.95))], exemptions=allowed)
    assert gate.passed
    check = only([one for one in gate.checks if one.allowed])
    assert check.allowed is not None
    assert check.allowed.by.startswith(f"{getpass.getuser()}@")
    assert check.verdict.endswith(": the new labels are better")
    worse = measured(scored(accuracy=0.6, agreement=0.95))
    assert not run_checks([worse], exemptions=allowed).passed
    both = exemptions(["int8 = float", "accuracy drop of int8"], ["one reason for both"])
    assert run_checks([worse], exemptions=both).passed
    each = exemptions(["a", "b"], ["for a", "for b"])
    assert [one.allowed.because for one in each] == ["for a", "for b"]


def test_a_check_that_passes_needs_no_exemption() -> None:
    allowed = exemptions(["int8 = float"], ["to be sure"])
    gate = run_checks([measured(scored())], exemptions=allowed)
    assert all(check.allowed is None for check in gate.checks)


@pytest.mark.parametrize(
    ("allow", "because"), [("x", ""), ("", "why"), ("x", " "), ("abc", "de"), ("a", "de")]
)
def test_an_exemption_requires_a_name_and_a_reason(allow: str, because: str) -> None:
    with pytest.raises(SettingsError, match="--allow NAME requires --because TEXT"):
        exemptions(list(allow), list(because))


def test_an_exemption_for_no_check_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean 'size of int8'"):
        require_known("size of int", {"fer2013": ["int8"]}, GateLimits())


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("[gate]\nagrement = 0.9\n", UnknownKey, "did you mean 'gate.agreement'"),
        ("[gates]\n", UnknownKey, "did you mean 'gate'"),
        ("[gate]\nagreement = 'high'\n", SettingsError, "agreement must be at least 0, got a text"),
        ("[gate]\nmmac = -1\n", SettingsError, "gate.mmac must be at least 0, got -1"),
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


def test_a_class_that_cannot_be_told_is_not_hidden_by_one_that_passed() -> None:
    def of(many: float, few: float) -> Scores:
        classes = {
            "happy": ClassScore(8000, recall=many, precision=0.7, f1=0.7),
            "disgust": ClassScore(55, recall=few, precision=0.7, f1=0.7),
        }
        return msgspec.structs.replace(scored(), per_class=classes)

    # Of 8,000 images 2.4 % are lost for sure, of 55 perhaps none and perhaps too many.
    both = measured(of(0.876, 0.9), scores={"float": of(0.9, 0.9), "int8": of(0.876, 0.9)})
    check = worst_class("worst", both, "int8", 0.03, 2)
    assert check.undecided
    assert check.detail == "disgust, 55 images"
