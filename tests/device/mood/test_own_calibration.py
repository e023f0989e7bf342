"""A household's own calibration: what a fit changes, when it is refused, and how it is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edgefer.errors import StateError
from edgefer.heads import VectorScaling
from edgefer.labels import FER2013
from edgefer_device.mood.own_calibration import CalibrationStore, Fit, Look, fit
from support.bundles import manifest

SAD, NEUTRAL, HAPPY = map(FER2013.index, ("sad", "neutral", "happy"))


def rows(count: int = 30, **shares: float) -> NDArray[np.float32]:
    """Readings (count, labels); what is left is shared out among the other labels."""
    rest = (1 - sum(shares.values())) / (len(FER2013) - len(shares))
    return np.tile(np.array([shares.get(one, rest) for one in FER2013], np.float32), (count, 1))


def test_a_face_that_rests_sad_is_read_as_neutral_afterwards() -> None:
    rest, smile = rows(sad=0.48, neutral=0.44), rows(happy=0.9, sad=0.06)
    found = fit([Look(NEUTRAL, rest), Look(HAPPY, smile)])
    assert found.helps
    assert found.after < found.before
    after = found.scaling.apply(rest)
    assert after[0].argmax() == NEUTRAL
    assert after.sum(1) == pytest.approx(1.0)
    assert found.scaling.apply(smile)[0].argmax() == HAPPY


def test_a_fit_stays_near_to_the_model_however_long_a_look_was_held() -> None:
    wrong = [Look(NEUTRAL, rows(300, sad=0.97)), Look(HAPPY, rows(300, sad=0.97))]
    found = fit(wrong).scaling
    assert max(map(abs, found.biases)) < 1.0
    assert found.scales == pytest.approx(
        fit([Look(one, r[:30]) for one, r in wrong]).scaling.scales
    )


def test_a_face_that_is_surely_misread_gets_as_much_as_the_priors_allow() -> None:
    looks = [Look((NEUTRAL, HAPPY)[at % 2], rows(sad=0.999995)) for at in range(20)]
    found = fit(looks)
    assert found.after < found.before - 2
    assert all(0.1 <= scale <= 1.01 for scale in found.scaling.scales)


def test_what_does_not_help_the_frames_held_back_is_refused() -> None:
    right = [Look(NEUTRAL, rows(neutral=0.99)), Look(HAPPY, rows(happy=0.99))]
    assert not fit(right).helps
    # The look is lost in its last third: what was fitted before makes that worse.
    lost = np.concatenate([rows(20, sad=0.6, neutral=0.2), rows(10, neutral=0.999)])
    smile = np.concatenate([rows(20, happy=0.3), rows(10, happy=0.999)])
    assert not fit([Look(NEUTRAL, lost), Look(HAPPY, smile)]).helps


def test_a_decoder_applies_it_after_the_models_calibration() -> None:
    import dataclasses

    own = VectorScaling((1.0,) * 7, tuple(2.0 * (label == "sad") for label in FER2013))
    plain = manifest().decoder()
    logits = np.zeros((1, 7), np.float32)
    found = dataclasses.replace(plain, own=own).probabilities(logits)
    assert plain.probabilities(logits)[0] == pytest.approx(np.full(7, 1 / 7))
    assert found[0, SAD] == pytest.approx(np.exp(2) / (np.exp(2) + 6))


@pytest.mark.parametrize(
    ("scales", "biases"),
    [((1.0,), (0.0, 0.0)), ((0.0, 1.0), (0.0, 0.0)), ((1.0, 1.0), (0.0, float("nan")))],
)
def test_a_scaling_of_no_use_is_refused(
    scales: tuple[float, ...], biases: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match=r"scales|biases"):
        VectorScaling(scales, biases)


FOUND = Fit(VectorScaling((1.0,) * 7, (0.1,) * 7), 1.0, 0.5)


def store(folder: Path) -> CalibrationStore:
    return CalibrationStore(folder, manifest(), manifest().decoder())


def test_it_is_kept_for_its_owner_alone_and_removed(tmp_path: Path) -> None:
    kept = store(tmp_path / "state")
    assert kept.read() is None
    own = kept.write(FOUND, [Look(NEUTRAL, rows()), Look(HAPPY, rows())])
    assert kept.read() == own
    assert own.looks == ("neutral", "happy")
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert kept.remove()
    assert not kept.remove()
    assert list(kept.path.parent.iterdir()) == []


@pytest.mark.parametrize("spoil", ["model", "labels", "key", "scaling", "cut", "nothing"])
def test_what_is_damaged_or_another_models_is_one_line(tmp_path: Path, spoil: str) -> None:
    kept = store(tmp_path)
    own = kept.write(FOUND, [Look(NEUTRAL, rows()), Look(HAPPY, rows())])
    table = msgspec.to_builtins(own)
    table |= {
        "model": {"fingerprint": "0" * 64},
        "labels": {"label_set": "ferplus"},
        "key": {"surprise": 1},
        "scaling": {"scaling": {"scales": [1.0], "biases": [0.0]}},
    }.get(spoil, {})
    text = msgspec.json.encode(table)
    kept.path.write_bytes({"cut": text[:-9], "nothing": b""}.get(spoil, text))
    with pytest.raises(StateError, match=r"calibration.json.*remove it: edgefer enroll --remove"):
        kept.read()
