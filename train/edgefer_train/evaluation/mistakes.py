"""Where a model is wrong: the most confident mistakes, and what other people saw there."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgefer.labels import FERPLUS
from edgefer_train.data.dataset import Faces

VOTED = (*FERPLUS, "unknown", "no face")
"""The columns of the FER+ votes."""

SHOWN = 24
"""Mistakes that a report shows."""


class Votes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What most FER+ annotators saw in one image."""

    label: str
    n: int
    """Of them."""
    of: int
    """Annotators."""


class Mistake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One wrong answer."""

    row: int
    """Of the image within PrivateTest, from 0."""
    said: str
    labelled: str
    confidence: float
    people: Votes | None
    """None where they were not asked or did not agree on one."""


class Crowd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With whom FER+'s annotators side where model and label differ."""

    n: int
    """Wrong answers on images for which one answer has the most votes."""
    with_model: int
    with_label: int


def worst_mistakes(
    probabilities: NDArray[np.float32], faces: Faces, names: tuple[str, ...], count: int = SHOWN
) -> tuple[Mistake, ...]:
    """Return the most confident wrong answers of probabilities (N, labels), the worst first."""
    said, sure = probabilities.argmax(-1), probabilities.max(-1)
    wrong = np.flatnonzero(said != faces.labels)
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
    return tuple(
        Mistake(
            row=int(row),
            said=names[said[row]],
            labelled=names[faces.labels[row]],
            confidence=float(sure[row]),
            people=_top(faces, int(row)),
        )
        for row in worst
    )


def crowd_on(said: NDArray[np.integer], faces: Faces, names: tuple[str, ...]) -> Crowd | None:
    """Return with whom the annotators side where `said` (N,) is wrong; None without votes."""
    if faces.votes is None:
        return None
    wrong = np.flatnonzero(said != faces.labels)
    tops = [(row, top.label) for row in wrong if (top := _top(faces, int(row)))]
    return Crowd(
        n=len(tops),
        with_model=sum(top == names[said[row]] for row, top in tops),
        with_label=sum(top == names[faces.labels[row]] for row, top in tops),
    )


def _top(faces: Faces, row: int) -> Votes | None:
    """The answer with the most votes, if it is one alone."""
    if faces.votes is None:
        return None
    votes = faces.votes[row]
    most = int(votes.max())
    if most == 0 or int((votes == most).sum()) != 1:
        return None
    return Votes(VOTED[int(votes.argmax())], most, int(votes.sum()))
