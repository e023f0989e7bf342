"""`edgefer enroll`: asks for a few looks, and fits the household's own calibration to them.

Of each frame only the probabilities are kept, in memory, until the fit.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
import numpy as np

from edgefer.errors import EnrollmentError, SettingsError, StateError
from edgefer.heads import VectorScaling
from edgefer.messages import UNSURE, Report
from edgefer.settings import nearest
from edgefer_device.mood.own_calibration import CalibrationStore, Look, OwnCalibration, fit
from edgefer_device.pipeline.analyzer import FaceClassifier
from edgefer_device.pipeline.health import PAUSED
from edgefer_device.pipeline.sink import Sink

log = logging.getLogger(__name__)

USUAL = ("neutral", "happy", "sad", "surprise", "angry")
"""Looks that most people can hold; of other labels the first so many."""
MOST = 20
"""Looks of one enrollment."""
READY_SECONDS, PATIENCE_SECONDS = 3.0, 15.0
"""Before a look counts, and without a readable face alone in view until all of it is given up."""
LONGEST_STEP = 1.0
"""Seconds that one frame may count."""
LEAST_FRAMES = 6
"""Of a look."""


class EnrollmentRequest(msgspec.Struct, frozen=True):
    """What to ask for."""

    looks: tuple[str, ...] = ()
    """Labels, each as often as it is to be held; none takes the usual ones."""
    seconds: Annotated[float, msgspec.Meta(ge=1, le=60)] = 5.0
    """To hold each."""


class EnrollmentState(msgspec.Struct, frozen=True, tag="enrollment"):
    """What is asked now, for the page and the terminal; or how it ended."""

    look: str | None = None
    """The label to show now; None while no enrollment runs."""
    number: int = 0
    """Of this look, from 1."""
    count: int = 0
    share: float = 0.0
    """Of the look's seconds that are done, 0..1, in tenths; 0 while getting ready."""
    problem: str | None = None
    """Why the seconds do not pass: `nobody`, `several`, `camera` or one of `messages.REASONS`."""
    outcome: str | None = None
    """`stored`, `no_gain`, `stopped`, `failed`, `paused`, or the problem that lasted too long."""
    note: str = ""
    """What there is to say about the outcome."""


class Enrollment(Sink):
    """Runs one enrollment at a time, and applies the calibration in force to the classifier."""

    def __init__(self, store: CalibrationStore, classifier: FaceClassifier) -> None:
        """An unusable calibration is logged, kept in `refused`, and left where it is."""
        self.store, self._classifier = store, classifier
        self.own: OwnCalibration | None = None
        """What is in force."""
        self.refused: str | None = None
        try:
            self.own = store.read()
        except StateError as exc:
            self.refused = str(exc)
            log.warning("%s", exc)
        self.lacks_camera: Callable[[], bool] = lambda: False
        """Whether the demo stands in for a camera: that is no face of the household."""
        self.state = EnrollmentState()
        self._asked: tuple[str, ...] = ()
        self._looks: list[Look] = []
        self._rows: list[list[float]] = []
        self._seconds = self._wait = self._idle = self._held = 0.0
        self._last: float | None = None
        self._apply(self.own)

    @property
    def calibration(self) -> str | None:
        """The own calibration in one line, or why it is not used; None where there is none."""
        return self.own.summary if self.own else self.refused

    def begin(self, request: EnrollmentRequest | None = None) -> EnrollmentState:
        """Ask for the first look; raises `SettingsError`, or `EnrollmentError` where it cannot."""
        if self.state.look is not None:
            raise EnrollmentError("an enrollment runs already; wait until it has ended")
        if self.lacks_camera():
            raise EnrollmentError(
                "no camera was found, the demo is shown; connect one, then enroll"
            )
        request = request or EnrollmentRequest()
        self._asked, self._seconds = usual_looks(request.looks, self.store.labels), request.seconds
        self._looks, self._last = [], None
        self._apply(None)
        self._ask()
        return self.state

    def stop(self) -> None:
        """Give up, as if nothing had been asked."""
        if self.state.look is not None:
            self._end("stopped")

    def remove(self) -> bool:
        """Remove the calibration, return whether there was any; raises `StateError`."""
        self.stop()
        removed = self.store.remove()
        self.own = self.refused = None
        self._apply(None)
        return removed

    async def publish(self, report: Report) -> None:
        """Take a report while a look is held."""
        if self.state.look is None:
            return
        passed = 0.0 if self._last is None else min(max(0, report.time - self._last), LONGEST_STEP)
        self._last = report.time
        if report.problem == PAUSED:
            self._end(PAUSED, "edgefer resume opens it")
            return
        problem = problem_of(report)
        self._idle = 0.0 if problem is None else self._idle + passed
        if problem is not None and self._idle >= PATIENCE_SECONDS:
            self._end(problem)
            return
        if self._wait > 0:
            self._wait -= passed
        elif problem is None:
            self._rows.append(list(report.faces[0].probabilities.values()))
            self._held += passed
        share = min(1.0, math.ceil(10 * self._held / self._seconds) / 10)
        self.state = msgspec.structs.replace(self.state, share=share, problem=problem)
        if self._held >= self._seconds and len(self._rows) >= LEAST_FRAMES:
            label = self.store.labels.index(self._asked[len(self._looks)])
            self._looks.append(Look(label, np.array(self._rows, np.float32)))
            if len(self._looks) < len(self._asked):
                self._ask()
            else:
                await self._fit(self._looks)

    def _ask(self) -> None:
        number = len(self._looks)
        self._wait, self._idle, self._held = READY_SECONDS, 0.0, 0.0
        self._rows = []
        self.state = EnrollmentState(self._asked[number], number + 1, len(self._asked))

    async def _fit(self, looks: list[Look]) -> None:
        # A page and a watchdog wait on the loop's thread.
        found = await asyncio.to_thread(fit, looks)
        if self._looks is not looks:
            return  # it was stopped meanwhile
        note = f"log loss of frames held back {found.before:.2f} -> {found.after:.2f} nats"
        if not found.helps:
            self._end("no_gain", note)
            return
        try:
            self.own, self.refused = self.store.write(found, looks), None
        except StateError as exc:
            self._end("failed", str(exc))
            return
        self._end("stored", f"{note}; {self.store.path}")

    def _end(self, outcome: str, note: str = "") -> None:
        self._looks, self._rows = [], []
        self.state = EnrollmentState(outcome=outcome, note=note)
        self._apply(self.own)

    def _apply(self, own: OwnCalibration | None) -> None:
        scaling: VectorScaling | None = own.scaling if own else None
        self._classifier.decoder = dataclasses.replace(self._classifier.decoder, own=scaling)


def problem_of(report: Report) -> str | None:
    """Return why a report is of no use to an enrollment, as in `EnrollmentState`."""
    if report.problem is not None:
        return "camera"
    if len(report.faces) != 1:
        return "several" if report.faces else "nobody"
    face = report.faces[0]
    return None if face.probabilities else face.reason or UNSURE


def usual_looks(wanted: Sequence[str], labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the looks to ask for; raise `SettingsError` for none of the labels, or one alone."""
    for label in wanted:
        if label not in labels:
            guess = nearest(label, labels)
            hint = f"; did you mean '{guess}'?" if guess else ""
            raise SettingsError(f"'{label}' is no label of the model: {', '.join(labels)}{hint}")
    if wanted and (len({*wanted}) < 2 or len(wanted) > MOST):
        raise SettingsError(
            f"name two labels or more, at most {MOST} looks, got {' '.join(wanted)}"
        )
    usual = [label for label in USUAL if label in labels]
    return tuple(wanted or (usual if len(usual) > 1 else labels[: len(USUAL)]))
