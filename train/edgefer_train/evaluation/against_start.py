"""A finished training beside the model that it started from, on images that neither has seen."""

from __future__ import annotations

import numpy as np

from edgefer.labels import spelled
from edgefer.metrics import Logits, mcnemar, wilson
from edgefer.preprocess import Pixels
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.evaluation.candidate import Candidate, RunCandidate, open_candidate
from edgefer_train.evaluation.evaluate import classify_all
from edgefer_train.run import Run

CLEAR = 0.05
"""Probability of chance below which a difference is one."""


def against_start(run: Run, start: str, dataset: Dataset) -> str:
    """Say on PrivateTest whether a run beats the run or bundle of `start`, in one line.

    The start is asked for the dataset's labels alone; where it has not all of them, the most
    frequent label stands in its place.
    """
    private = dataset.part(Usage.PrivateTest)
    mine, other = RunCandidate(run), open_candidate(start)
    right = _predicted(mine, private.images).argmax(-1) == private.labels
    known = [spelled(label) for label in other.facts.labels]
    wanted = [spelled(label) for label in dataset.labels]
    share = f"{right.mean():.1%} of {len(right)} held-out images"
    low, high = wilson(float(right.mean()), len(right))
    text = f"{share} are right (95 %: {low:.1%} to {high:.1%})"
    if not set(wanted) <= set(known):
        counts = np.bincount(private.labels, minlength=len(wanted))
        most = f"always '{dataset.labels[int(counts.argmax())]}': {counts.max() / len(right):.1%}"
        return f"{text}; {most}; {start} has other labels"
    logits = _predicted(other, private.images)[:, [known.index(label) for label in wanted]]
    before = logits.argmax(-1) == private.labels
    paired = mcnemar(before, right)
    verdict = "cannot be told apart from"
    if paired.p_value < CLEAR:
        verdict = "beats" if paired.only_second > paired.only_first else "is worse than"
    return (
        f"{text}, {start} {before.mean():.1%}: it {verdict} {start} "
        f"(+{paired.only_second} -{paired.only_first} images, p = {paired.p_value:.2g})"
    )


def _predicted(candidate: Candidate, images: Pixels) -> Logits:
    """Return the float model's logits (N, labels) of face crops."""
    title = f"{candidate.facts.name}: held-out images"
    return classify_all(candidate.classifier(candidate.reference), images, title)
