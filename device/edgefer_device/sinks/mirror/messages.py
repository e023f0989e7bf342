"""Messages between the mirror and its page, each with its JSON form, and the ribbon's timeline."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal

import msgspec

from edgefer.messages import Report
from edgefer_device.sinks.enrollment import EnrollmentState
from edgefer_device.sinks.message_board import Line
from edgefer_device.sinks.mirror.settings import MirrorSettings

MOMENTS = 600
"""That fit the ribbon; as in ribbon.js."""


class Moment(msgspec.Struct, frozen=True, array_like=True):
    """One point of the ribbon; JSON: [at, mood, confidence]. No image, no box, no identity."""

    at: float
    """Seconds on the sink's clock."""
    mood: str | None
    """None: a report came and there was no face."""
    confidence: float | None
    """0..1; None when there is no face."""


class View(msgspec.Struct, frozen=True, tag="view", omit_defaults=True):
    """What the camera sees now; sent when it changes."""

    mood: str | None
    confidence: float | None
    """Filtered probability of `mood`, 0..1, in whole percents."""
    faces: int
    reason: str | None = None
    """Why `mood` is `unknown`, one of `messages.REASONS`."""
    moods: tuple[str, ...] = ()
    """Of two people or more, each one's label, in the order in which they came."""

    @classmethod
    def of(cls, report: Report) -> View:
        """Return the view of a report."""
        confidence = None if report.confidence is None else round(report.confidence, 2)
        faces = sorted(report.faces, key=lambda face: face.track)
        moods = tuple(face.label for face in faces) if len(faces) > 1 else ()
        return cls(report.mood, confidence, len(faces), report.reason, moods)


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Sent once a second, so that the page knows that the server lives."""

    now: float
    """Seconds on the sink's clock."""
    moment: Moment | None
    """The ribbon's newest point; None when no report came in this second."""


class Content(msgspec.Struct, frozen=True, tag="content"):
    """The line of a content rule; sent when it changes."""

    line: Line | None
    """None while there is none."""


class Paused(msgspec.Struct, frozen=True, tag="paused"):
    """Whether the camera is closed on request; sent when it changes."""

    paused: bool


class Trouble(msgspec.Struct, frozen=True, tag="trouble"):
    """Which other sinks cannot deliver; sent when that changes."""

    parts: tuple[str, ...]
    """Their names, such as `mqtt`."""


class ShowWeek(msgspec.Struct, frozen=True, tag="week"):
    """Open the weekly view; sent when somebody asks for it elsewhere than on the page."""

    count: int
    """How often that was, so that each one is news."""


class Command(msgspec.Struct, frozen=True):
    """The one message that a page sends."""

    command: Literal["pause", "resume", "enroll", "stop"]


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first message to a page: everything that it needs."""

    now: float
    """Seconds on the sink's clock."""
    span: float
    """Seconds that the ribbon covers."""
    view: View | None
    """None without a current report."""
    history: tuple[Moment, ...]
    content: Content = Content(None)
    trouble: Trouble = Trouble(())
    kept_days: int = 0
    """Days for which shares of moods are kept on disk; 0: none, and there is no weekly view."""
    paused: bool = False
    enrollment: EnrollmentState | None = None
    """What runs now; `settings.enroll` says whether the page may start one."""
    settings: MirrorSettings = MirrorSettings()


Message = View | Tick | Content | Paused | Trouble | ShowWeek | EnrollmentState | Hello


class Timeline:
    """The ribbon's moments, oldest first; they live in memory only.

    The span begins at ten minutes and doubles whenever it is full, up to `longest`: a mirror
    that was just started shows minutes, later hours. Its moments then lie as far apart as
    needed for at most `MOMENTS` of them.
    """

    def __init__(self, longest: float, span: float = 600.0) -> None:
        self.longest = longest
        """Seconds."""
        self.span = min(span, longest)
        """Seconds covered now."""
        self._moments: deque[Moment] = deque()

    def add(self, moment: Moment) -> None:
        """Add the newest moment, unless it is too near to the last; drop old ones."""
        if not self._has_room(moment):
            return
        self._moments.append(moment)
        while self.span < self.longest and self._moments[0].at < moment.at - self.span:
            self._widen()
        self.prune(before=moment.at - self.span)

    def prune(self, before: float) -> None:
        """Drop the moments older than `before`, in seconds on the sink's clock."""
        while self._moments and self._moments[0].at < before:
            self._moments.popleft()

    def _has_room(self, moment: Moment) -> bool:
        # Ticks come a little early or late.
        step = 0.75 * self.span / MOMENTS
        return not self._moments or moment.at - self._moments[-1].at >= step

    def _widen(self) -> None:
        self.span = min(2 * self.span, self.longest)
        held, self._moments = self._moments, deque()
        for moment in held:
            if self._has_room(moment):
                self._moments.append(moment)

    def __iter__(self) -> Iterator[Moment]:
        return iter(self._moments)

    def __len__(self) -> int:
        return len(self._moments)
