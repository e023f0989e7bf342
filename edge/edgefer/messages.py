"""The messages between stages: boxes, faces, reports and predictions, and their JSON form."""

from __future__ import annotations

import json

import msgspec

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for a message that is not the JSON expected: of another form, of bytes that
are no UTF-8, nested without end."""
UNSURE = "unsure"
"""The reason of a face with no label that is probable enough."""
REASONS = (UNSURE, "small", "dark", "bright", "blurred", "turned")
"""Why a face has no label: none is probable enough, or the face is too small, too dark, too bright,
blurred or turned away."""


def why_not_json(exc: Exception) -> str:
    """Return what one of `NOT_JSON` says, in our words."""
    if isinstance(exc, UnicodeDecodeError):
        return "its bytes are not UTF-8"
    return "it is cut off; copy it again" if "truncated" in str(exc) else str(exc)


class Box(msgspec.Struct, frozen=True, array_like=True):
    """A rectangle in the pixels of its frame; JSON: [left, top, width, height]."""

    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def right(self) -> float:
        """Right edge, pixels."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower edge, pixels."""
        return self.top + self.height

    def intersection(self, other: Box) -> float:
        """Area shared with another box, square pixels."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, across) * max(0.0, down)

    def overlap(self, other: Box) -> float:
        """Intersection over union with another box, 0..1."""
        shared = self.intersection(other)
        return shared and shared / (self.area + other.area - shared)


class Detection(msgspec.Struct, frozen=True):
    """One detected face."""

    box: Box
    score: float
    """Of the detector, 0..1."""
    turn: float | None = None
    """How far the nose stands from the middle of the eyes along their line, in distances of the
    eyes, to the right of the image; None where the detector has no landmarks."""


class Face(msgspec.Struct, frozen=True):
    """One tracked and classified face."""

    track: int
    """The same number as long as it is the same person in view."""
    box: Box
    score: float
    """Of the detector, 0..1."""
    label: str
    """The reported label, `unknown` when none is probable enough."""
    probabilities: dict[str, float]
    """This frame's calibrated probabilities, by label; empty where the face was not classified."""
    reason: str | None = None
    """Why `label` is `unknown`, one of `REASONS`; None when it is not."""


class Report(msgspec.Struct, frozen=True):
    """The result of one frame; one line of `--sink jsonl:`."""

    time: float
    """Seconds on the camera's clock."""
    frame: int
    """Count of frames since the start."""
    faces: tuple[Face, ...]
    mood: str | None
    """The mood of the largest face; None when there is no face."""
    confidence: float | None
    """Filtered probability of `mood`, 0..1; None when there is no face."""
    problem: str | None = None
    """Why there are no frames, in words; None while the camera delivers."""
    reason: str | None = None
    """Why `mood` is `unknown`, one of `REASONS`; None when it is not."""
    still: tuple[Box, ...] = ()
    """Faces that have not moved for long: a poster, a photograph. They are none of `faces`."""


class Prediction(msgspec.Struct, frozen=True):
    """The faces of one image; one line of `predict --json`."""

    image: str
    faces: tuple[Face, ...]
    turned: int = 0
    """Degrees, against the clock, by which the image was turned to find them: 0, 90, 180, 270."""


def to_json(message: msgspec.Struct) -> str:
    """Return the message as one line of JSON, floats rounded to six places.

    Bytes of a file's name that are no UTF-8 are written as escapes, such as `\\udcff`; what
    would move a terminal's cursor or turn its writing is escaped as JSON does.
    """
    return printable_json(msgspec.json.encode(_encodable(msgspec.to_builtins(message))).decode())


def printable_json(text: str) -> str:
    """Return JSON of the same meaning without characters that a terminal obeys."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text
    )


def _encodable(value: object) -> object:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, str):
        # Most are ASCII, and this runs for every frame.
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value
