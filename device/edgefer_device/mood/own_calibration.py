"""A household's own calibration: vector scaling fitted to looks that somebody held for it.

Vector scaling is Guo et al. 2017, "On Calibration of Modern Neural Networks", fitted by maximum a
posteriori instead of likelihood: a look of some seconds is one pose many times over, so that it
counts as one frame, and normal priors draw every scale to 1 and every bias to 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.errors import SettingsError, StateError
from edgefer.files import write_atomic
from edgefer.heads import Decoder, VectorScaling, log_probabilities
from edgefer.manifest import Manifest
from edgefer.messages import NOT_JSON
from edgefer.settings import JSON, parse

FILE = "calibration.json"
"""In the state folder."""
SCALE_SPREAD, BIAS_SPREAD = 0.1, 0.5
"""Standard deviations of the priors: about the spread between the clips' people, which `edgefer dev
calibration` measures."""
HELD_BACK = 3
"""One part in so many of each look, its last, judges the fit."""
LEAST_GAIN = 0.02
"""Of the log loss there, nats, below which nothing is changed."""
STEPS, SMALLEST = 20, 1e-6
"""Of Newton's method, which settles in about five where looks are read well."""


class OwnCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON of the file: figures of a fit, nothing of a face."""

    model: str
    fingerprint: str
    """sha256 of the hashes of the model's files, and its temperature."""
    label_set: str
    labels: tuple[str, ...]
    looks: tuple[str, ...]
    """The labels that were asked for."""
    date: str
    log_loss: tuple[float, float]
    """Of the frames held back, nats, without and with it."""
    scaling: VectorScaling

    def __post_init__(self) -> None:
        if len(self.scaling.scales) != len(self.labels):
            raise ValueError("scaling must have a scale for each label")

    @property
    def summary(self) -> str:
        """One line."""
        before, after = self.log_loss
        looks = ", ".join(self.looks)
        return f"{self.model}, {self.date}: {looks}; log loss {before:.2f} -> {after:.2f}"

    def table(self) -> Iterator[str]:
        """Yield the summary, and each label's figures, line by line."""
        yield self.summary
        yield f"{'label':<12} {'scale':>6} {'bias':>6}"
        for row in zip(self.labels, self.scaling.scales, self.scaling.biases, strict=True):
            yield "{:<12} {:>6.2f} {:>+6.2f}".format(*row)


class CalibrationStore:
    """Keeps the household's calibration of one model in the state folder."""

    def __init__(self, folder: Path, manifest: Manifest, decoder: Decoder) -> None:
        self.path = folder / FILE
        self.labels = decoder.labels
        # Not of the manifest's text: a later release may write it with a key more.
        files = sorted(file.sha256 for file in manifest.files.values())
        text = f"{decoder.calibration.temperature} {' '.join(files)}"
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        self._of = (manifest.name, fingerprint, decoder.label_set, decoder.labels)

    def read(self) -> OwnCalibration | None:
        """Return what is stored; raise `StateError` where it is unreadable or another model's."""
        advice = "remove it: edgefer enroll --remove"
        try:
            table = msgspec.json.decode(self.path.read_bytes(), type=dict[str, object])
            own = parse(table, OwnCalibration, str(self.path), JSON)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise StateError(f"{self.path}: cannot be read: {exc.strerror}") from exc
        except NOT_JSON as exc:
            raise StateError(f"{self.path}: not a calibration: {exc}; {advice}") from exc
        except SettingsError as exc:
            raise StateError(f"{exc}; {advice}") from exc
        if (own.model, own.fingerprint, own.label_set, own.labels) != self._of:
            raise StateError(
                f"{self.path}: made for another model or label set ({own.model}, {own.label_set}): "
                "it is not used; enroll again, or " + advice
            )
        return own

    def write(self, found: Fit, looks: Sequence[Look]) -> OwnCalibration:
        """Store a fit; raise `StateError` where that fails."""
        own = OwnCalibration(
            *self._of,
            looks=tuple(self.labels[look.label] for look in looks),
            date=date.today().isoformat(),
            log_loss=(found.before, found.after),
            scaling=found.scaling,
        )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomic(self.path, msgspec.json.format(msgspec.json.encode(own)) + b"\n", 0o600)
        except OSError as exc:
            raise StateError(f"{self.path}: cannot be written: {exc.strerror or exc}") from exc
        return own

    def remove(self) -> bool:
        """Remove what is stored; return whether there was any. Raises `StateError`."""
        return remove_calibration(self.path.parent)


def remove_calibration(folder: Path) -> bool:
    """Remove what a state folder holds, of whatever model; return whether there was any."""
    try:
        (folder / FILE).unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as exc:
        raise StateError(f"{folder / FILE}: cannot be removed: {exc.strerror or exc}") from exc
    return True


class Look(NamedTuple):
    """One expression that was held."""

    label: int
    """Its index."""
    rows: NDArray[np.float32]
    """(frames, labels), probabilities by the model's calibration."""


class Fit(NamedTuple):
    """A scaling, and the log loss, nats, of the frames held back without and with it."""

    scaling: VectorScaling
    before: float
    after: float

    @property
    def helps(self) -> bool:
        """Whether it is better than none."""
        return self.before - self.after >= LEAST_GAIN


def fit(looks: Sequence[Look]) -> Fit:
    """Fit a scaling to the first frames of looks, of three or more, and judge it by the last."""
    cut = [len(look.rows) - len(look.rows) // HELD_BACK for look in looks]
    first = [Look(look.label, look.rows[:end]) for look, end in zip(looks, cut, strict=True)]
    rest = [Look(look.label, look.rows[end:]) for look, end in zip(looks, cut, strict=True)]
    scaling = _posterior(first)
    return Fit(scaling, _loss(rest), _loss([Look(one, scaling.apply(rows)) for one, rows in rest]))


def _loss(looks: Sequence[Look]) -> float:
    """Return the mean over the looks of their mean log loss, nats."""
    return float(np.mean([-log_probabilities(rows[:, label]).mean() for label, rows in looks]))


def _posterior(looks: Sequence[Look]) -> VectorScaling:
    """Return the scaling of greatest posterior density, by Newton's method with halved steps."""
    density = _Density.of(looks)
    found = density.prior
    for _ in range(STEPS):
        step, loss = density.step(found), density.loss(found)
        while density.loss(found - step) > loss and np.abs(step).max() > SMALLEST:
            step = step / 2
        found = found - step
        if np.abs(step).max() <= SMALLEST:
            break
    scales, biases = found.reshape(2, -1)
    return VectorScaling(tuple(map(float, scales.clip(0.1, 5))), tuple(map(float, biases)))


class _Density(NamedTuple):
    """The negative logarithm of the posterior density: convex in (scales, biases)."""

    inputs: NDArray[np.float64]
    """(frames, 2, labels): a label's logit is linear in its scale and in its bias."""
    truth: NDArray[np.float64]
    """(frames, labels), 1 for the label that was asked for."""
    weights: NDArray[np.float64]
    """(frames,); those of a look add up to 1."""
    prior: NDArray[np.float64]
    """(2 labels,), as what is fitted."""
    precision: NDArray[np.float64]

    @classmethod
    def of(cls, looks: Sequence[Look]) -> _Density:
        logs = np.concatenate([log_probabilities(look.rows) for look in looks]).astype(np.float64)
        lengths = [len(look.rows) for look in looks]
        labels = logs.shape[1]
        return cls(
            inputs=np.stack([logs, np.ones_like(logs)], 1),
            truth=np.eye(labels)[np.repeat([look.label for look in looks], lengths)],
            weights=np.repeat([1 / length for length in lengths], lengths),
            prior=np.repeat([1.0, 0.0], labels),
            precision=np.repeat([SCALE_SPREAD**-2, BIAS_SPREAD**-2], labels),
        )

    def _logs(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        logits = (self.inputs * found.reshape(2, -1)).sum(1)
        logits -= logits.max(1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(1, keepdims=True)))

    def loss(self, found: NDArray[np.float64]) -> float:
        drawn = (self.precision * (found - self.prior) ** 2).sum() / 2
        return float(drawn - self.weights @ (self.truth * self._logs(found)).sum(1))

    def step(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Newton's step, to be taken off."""
        shares = np.exp(self._logs(found))
        slope = np.einsum("n,nk,njk->jk", self.weights, shares - self.truth, self.inputs).ravel()
        spread = np.einsum("nk,kl->nkl", shares, np.eye(shares.shape[1]))
        spread -= np.einsum("nk,nl->nkl", shares, shares)
        curve = np.einsum("n,nik,nkl,njl->ikjl", self.weights, self.inputs, spread, self.inputs)
        size = len(found)
        return np.linalg.solve(
            curve.reshape(size, size) + np.diag(self.precision),
            slope + self.precision * (found - self.prior),
        )
