"""The heads of a model: read alone, and together as a geometric mean."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edgefer.affine import Affine
from edgefer.bundle import open_bundle
from edgefer.errors import SettingsError
from edgefer.heads import Calibration, Ensemble, Head
from edgefer.labels import FER2013, FERPLUS
from edgefer.manifest import Manifest
from edgefer.metrics import Logits, confidence_covering, softmax
from edgefer.portrait import portrait_crops
from edgefer.runtime import open_classifier
from support.bundles import manifest

NUMBERS = np.random.default_rng(1)
LOGITS: Logits = NUMBERS.normal(0, 3, (50, 15)).astype(np.float32)


def two_heads(weight: float = 0.3) -> Manifest:
    one = manifest()
    heads = (
        Head("fer2013", FER2013, Affine(0.1, 0), Calibration(0.9)),
        Head("ferplus", FERPLUS, Affine(0.2, 3), Calibration(0.6)),
    )
    ensemble = Ensemble(weight, Calibration(1.2))
    return msgspec.structs.replace(one, heads=heads, ensemble=ensemble)


def test_each_head_is_read_from_its_own_columns() -> None:
    both = two_heads()
    first, second = (both.decoder(name).probabilities(LOGITS) for name in ("fer2013", "ferplus"))
    np.testing.assert_allclose(first, softmax(LOGITS[:, :7], 0.9), rtol=1e-6)
    np.testing.assert_allclose(second, softmax(LOGITS[:, 7:], 0.6), rtol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_both_heads_give_the_normalized_geometric_mean_without_contempt(weight: float) -> None:
    one, other = softmax(LOGITS[:, :7], 0.9), softmax(LOGITS[:, 7:], 0.6)
    shared_out = other[:, [FERPLUS.index(label) for label in FER2013]]
    shared_out /= shared_out.sum(-1, keepdims=True)
    mean = (one ** (1 - weight) * shared_out**weight) ** (1 / 1.2)
    expected = mean / mean.sum(-1, keepdims=True)
    decoder = two_heads(weight).decoder()
    assert (decoder.label_set, decoder.labels) == ("both", FER2013)
    np.testing.assert_allclose(decoder.probabilities(LOGITS), expected, rtol=1e-4)


def test_a_file_of_one_head_is_read_by_that_one() -> None:
    small = open_bundle("small").manifest
    assert small.decoder(format="int8").label_set == "both"
    assert small.decoder(format="mobile").label_set == "fer2013"
    with pytest.raises(SettingsError, match="its mobile file has fer2013; choose one of these"):
        small.decoder("ferplus", "mobile")


def test_a_model_of_one_head_reads_both_as_that_one() -> None:
    assert manifest().decoder("both") == manifest().decoder("fer2013")
    with pytest.raises(SettingsError, match="labels 'ferplus': test has fer2013; choose"):
        manifest().decoder("ferplus")


def test_every_file_of_a_shipped_model_has_the_logits_of_its_heads() -> None:
    small = open_bundle("small")
    crops = portrait_crops(4, small.manifest.input.preprocess)
    expected = open_classifier(small, "onnx").logits(crops)
    for format in ("int8", "onnx-int8", "onnx-symmetric"):
        assert np.abs(open_classifier(small, format).logits(crops) - expected).max() < 1.5
    found = open_classifier(small, "mobile").logits(crops)
    head = small.manifest.decoder(format="mobile")
    only = head.probabilities(found)
    np.testing.assert_allclose(only.sum(-1), 1, atol=1e-5)
    assert (only.argmax(-1) == expected[:, :7].argmax(-1)).all()


def test_the_threshold_is_the_confidence_that_a_share_reaches() -> None:
    confidence = NUMBERS.random(1000)
    threshold = confidence_covering(confidence, 0.85)
    assert (confidence >= threshold).mean() == pytest.approx(0.85, abs=0.002)


@pytest.mark.parametrize("threshold", [0.0, 0.009, -1.0, 1.01, float("nan")])
def test_a_threshold_that_no_mood_can_use_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"threshold must be 0\.01 to 1, got"):
        Calibration(threshold=threshold)


def test_shipped_thresholds_are_evidence_by_label_set() -> None:
    found = open_bundle("small").manifest.calibrations
    assert set(found) == {"fer2013", "ferplus", "both"}
    assert all(0.3 < one.threshold < 0.9 for one in found.values())
