"""The gate's checks: each is a function from the measurements to one figure beside its limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from edgefer.errors import GateFailed, SettingsError
from edgefer.gate_limits import UNLIMITED, GateLimits
from edgefer.manifest import Check, Gate
from edgefer.metrics import paired_difference, wilson
from edgefer.runtime import RUNTIMES
from edgefer.settings import nearest
from edgefer_convert.formats.table import FORMATS, INT8_TFLITE
from edgefer_convert.gate.limits import Exemption
from edgefer_convert.gate.measurements import Measurements

SLACK = 1e-9
"""Two of 55 images are not more than two of 55, whatever their difference's last digits."""

Function = Callable[[str, Measurements], Check]
"""From the check's name and the measurements to the check."""

SAME = {"onnx-int8": "int8", "uint8": "int8", "mobile": "int8"}
"""Formats that have the integers of another one."""


def run_checks(
    measured: Sequence[Measurements],
    limits: GateLimits | None = None,
    exemptions: Sequence[Exemption] = (),
) -> Gate:
    """Compare the measurements of each head with the limits; return the verdict.

    A share of images passes or fails where its whole 95 % interval does; else there are not
    enough images to tell. Without any, what is predicted is not judged.
    """
    limits, (first, *_) = limits or GateLimits(), measured
    runnable = [format for format in first.bytes if format in RUNTIMES]
    heads = {head.head: tuple(head.predictions) or runnable for head in measured}
    of_heads = [
        (name, check, head)
        for head in measured
        for name, check in _of_head(head.head, heads, limits)
    ]
    checks = [check(name, head) for name, check, head in of_heads if head.scores]
    checks += [check(name, first) for name, check in _of_files(tuple(first.bytes), limits)]
    left = {name for name, _ in planned(heads, limits)}
    return Gate(
        tuple(_exempted(check, exemptions) for check in checks),
        omitted=tuple(name for name, _ in planned(heads, GateLimits()) if name not in left),
        unjudged=tuple(name for name, _, head in of_heads if not head.scores),
    )


def planned(
    heads: Mapping[str, Sequence[str]], limits: GateLimits
) -> Iterator[tuple[str, Function]]:
    """Yield the name and the function of each check for these limits; `heads` has formats."""
    for head in heads:
        yield from _of_head(head, heads, limits)
    yield from _of_files([one for formats in heads.values() for one in formats], limits)


def _of_head(
    head: str, heads: Mapping[str, Sequence[str]], limits: GateLimits
) -> Iterator[tuple[str, Function]]:
    """Yield the checks of what one head predicts, which is named where there are several."""
    formats, suffix = heads[head], f", {head}" if len(heads) > 1 else ""
    for format in formats:
        for name, check in _predictions_of(format, limits):
            yield name + suffix, check
        if format in SAME and SAME[format] in formats and limits.parity > 0:
            check = partial(parity, format=format, limit=limits.parity)
            yield f"{format} = {SAME[format]}{suffix}", check
    if limits.label_order < UNLIMITED:
        yield f"labels out of order{suffix}", partial(label_order, limit=limits.label_order)
    if limits.corruption_drop < UNLIMITED:
        yield f"corruption drop{suffix}", partial(corruption_drop, limit=limits.corruption_drop)


def _predictions_of(format: str, limits: GateLimits) -> Iterator[tuple[str, Function]]:
    in_class = partial(worst_class, images=limits.class_images)
    for name, function, limit, applies in (
        ("accuracy drop", accuracy_drop, limits.accuracy_drop, True),
        ("worst class", in_class, limits.class_recall_drop, True),
        ("calibration error", calibration_error, limits.calibration_error,
         FORMATS[format].integer),
    ):  # fmt: skip
        if applies and limit < UNLIMITED:
            yield f"{name} of {format}", partial(function, format=format, limit=limit)
    if limits.agreement > 0:
        yield f"{format} = float", partial(agreement, format=format, limit=limits.agreement)


def _of_files(formats: Sequence[str], limits: GateLimits) -> Iterator[tuple[str, Function]]:
    """Yield the checks of the files themselves."""
    for format in (format for format in FORMATS if format in formats):
        for name, function, limit, applies in (
            ("float tensors", float_tensors, limits.float_tensors, format in INT8_TFLITE),
            ("size", size, limits.bytes, FORMATS[format].integer),
        ):
            if applies and limit < UNLIMITED:
                yield f"{name} of {format}", partial(function, format=format, limit=limit)
    if limits.mmac < UNLIMITED:
        yield "multiply-accumulates", partial(mmac, limit=limits.mmac)
    if limits.edgetpu_mapped > 0:
        yield "mapped to the Edge TPU", partial(edgetpu_mapped, limit=limits.edgetpu_mapped)


def require_known(name: str, heads: Mapping[str, Sequence[str]], limits: GateLimits) -> None:
    """Raise `SettingsError` unless there is a check of this name for these limits; `heads` has
    the formats of each head."""
    names = [known for known, _ in planned(heads, limits)]
    if name not in names:
        guess = nearest(name, names)
        hint = f"; did you mean '{guess}'?" if guess else ""
        raise SettingsError(f"--allow: unknown check '{name}'; known: {', '.join(names)}{hint}")


def require_passed(gate: Gate) -> None:
    """Raise `GateFailed`, naming the worst of the checks that failed, unless all passed."""
    failed = [check for check in gate.checks if not check.accepted]
    if failed:
        worst = max(failed, key=_excess)
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise GateFailed(
            f"{worst.name} is {worst.found}, expected {worst.wanted}{others}; no bundle was "
            "written; improve the model (--sensitivity shows its worst layers), set other limits "
            f'with --gate FILE, or allow it: --allow "{worst.name}" --because TEXT; each can be '
            "repeated",
            gate,
        )


def _excess(check: Check) -> float:
    """Return how far over its limit a check is, in limits; for a minimum, in what is left to 1."""
    room = 1 - check.limit if check.at_least else check.limit
    over = check.limit - check.measured if check.at_least else check.measured - check.limit
    return over / room if room > 0 else math.inf


def _exempted(check: Check, exemptions: Sequence[Exemption]) -> Check:
    allowed = next((one.allowed for one in exemptions if one.name == check.name), None)
    return check if check.accepted else msgspec.structs.replace(check, allowed=allowed)


def _at_most(
    name: str, measured: float, limit: float, interval: tuple[float, float] | None = None
) -> Check:
    highest = interval[1] if interval else measured
    return Check(name, measured, limit, passed=highest <= limit + SLACK, interval=interval)


def _at_least(
    name: str, measured: float, limit: float, interval: tuple[float, float] | None = None
) -> Check:
    lowest = interval[0] if interval else measured
    return Check(name, measured, limit, lowest >= limit - SLACK, at_least=True, interval=interval)


def accuracy_drop(name: str, measured: Measurements, format: str, limit: float) -> Check:
    """Accuracy on PrivateTest that a format loses against float."""
    before, after = measured.scores["float"], measured.scores[format]
    drop = before.accuracy - after.accuracy
    differing = max(1 - after.agreement_with_float, abs(drop))
    return _at_most(name, drop, limit, paired_difference(drop, differing, after.n))


def corruption_drop(name: str, measured: Measurements, limit: float) -> Check:
    """Accuracy on PrivateTest that the first format loses by corruptions of the third strength."""
    drop, n = measured.corruption_drop, measured.scores["float"].n
    return _at_most(name, drop, limit, wilson(max(drop, 0.0), n))


def worst_class(
    name: str, measured: Measurements, format: str, limit: float, images: float
) -> Check:
    """Recall that the worst class loses; `images` of a class may, whatever their share."""
    before, after = measured.scores["float"].per_class, measured.scores[format].per_class
    checks = []
    for label, one in before.items():
        lost = one.recall - after[label].recall
        allowed = max(limit, images / max(one.n, 1))
        check = _at_most(name, lost, allowed, wilson(max(lost, 0.0), one.n))
        checks.append(msgspec.structs.replace(check, detail=f"{label}, {one.n} images"))
    # One that is undecided comes before one that passed, though it may lose less.
    return max(
        checks,
        key=lambda check: (not check.accepted, not check.passed, check.measured - check.limit),
    )


def agreement(name: str, measured: Measurements, format: str, limit: float) -> Check:
    """Share of PrivateTest on which a format predicts the same label as float."""
    scores = measured.scores[format]
    same = scores.agreement_with_float
    return _at_least(name, same, limit, wilson(same, scores.n))


def calibration_error(name: str, measured: Measurements, format: str, limit: float) -> Check:
    """Expected calibration error of a format at the bundle's temperature.

    Few images make it large by chance: the interval begins below it by as much.
    """
    error = measured.scores[format].calibration_error
    lowest = max(0.0, error - measured.error_by_chance.get(format, 0.0))
    return _at_most(name, error, limit, (lowest, error))


def float_tensors(name: str, measured: Measurements, format: str, limit: float) -> Check:
    """Tensors of an int8 TFLite file that are computed in float."""
    left = measured.float_tensors[format]
    check = _at_most(name, len(left), limit)
    return msgspec.structs.replace(check, unit="tensors", detail=left[0] if left else "")


def size(name: str, measured: Measurements, format: str, limit: float) -> Check:
    """Bytes of a format's file."""
    return msgspec.structs.replace(_at_most(name, measured.bytes[format], limit), unit="bytes")


def parity(name: str, measured: Measurements, format: str, limit: float) -> Check:
    """Share of PrivateTest on which two formats of one int8 model predict the same."""
    same = measured.predictions[format] == measured.predictions[SAME[format]]
    return _at_least(name, float(same.mean()), limit, wilson(float(same.mean()), len(same)))


def mmac(name: str, measured: Measurements, limit: float) -> Check:
    """Million multiply-accumulates of one inference."""
    return msgspec.structs.replace(_at_most(name, measured.macs / 1e6, limit), unit="MMAC")


def label_order(name: str, measured: Measurements, limit: float) -> Check:
    """Accuracy on PublicTest that exchanging the two labels most mixed up would gain.

    0 for a model whose labels are in order: each is predicted most often for itself.
    """
    table, labels = measured.confusion, tuple(measured.scores["float"].per_class)
    right, total = table.diagonal(), max(table.sum(), 1)
    gains = (table + table.T - right[:, None] - right[None, :]) / total
    one, other = divmod(int(gains.argmax()), len(labels))
    gain = max(0.0, float(gains.max()))
    pair = table[[one, one, other, other], [one, other, one, other]].sum() if gain else 0
    interval = paired_difference(gain, float(pair / total), int(total))
    check = _at_most(name, gain, limit, (max(0.0, interval.low), interval.high))
    detail = f"{labels[one]} and {labels[other]}" if check.measured > 0 else ""
    return msgspec.structs.replace(check, detail=detail)


def edgetpu_mapped(name: str, measured: Measurements, limit: float) -> Check:
    """Share of the int8 file's operations that an Edge TPU would run."""
    return _at_least(name, measured.edgetpu_mapped or 0.0, limit)
