"""Tracking of faces from frame to frame, and when to detect them again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
from msgspec import Meta

from edgefer.messages import Box, Detection


class TrackingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[tracking]` table."""

    interval: Annotated[float, Meta(ge=0, le=60)] = 0.12
    """Seconds between two detections while something moves; frames between hold the box."""
    still: Annotated[float, Meta(ge=0, le=60)] = 0.5
    """Seconds between two searches for others, and between two detections while nothing moves and
    every track is sure."""
    overlap: Annotated[float, Meta(ge=0.01, le=0.99)] = 0.3
    """Least intersection over union of a detection with the track that it continues."""
    hits: Annotated[int, Meta(ge=1, le=100)] = 3
    """Detections, one after the other, that confirm a track."""
    certainty: Annotated[float, Meta(ge=0, le=1)] = 0.7
    """Mean score, the later detections counting more, that confirms a track. BlazeFace
    gives clouds and letters up to 0.66 over several frames, and faces at arm's length 0.74 or
    more; it keeps a confirmed face through the lower scores of a turned head."""
    patience: Annotated[float, Meta(ge=0, le=60)] = 0.5
    """Seconds unseen after which a confirmed track is dropped."""
    smallest: Annotated[float, Meta(ge=0, le=2000)] = 20.0
    """Side of the smallest face that is followed, pixels; `[quality]` says which are read."""


@dataclass(frozen=True, slots=True)
class Track:
    """One face followed over time."""

    number: int
    box: Box
    score: float
    """The detector's score when it last saw the face, 0..1."""
    certainty: float
    """Mean of its scores, each weighing half of the next."""
    hits: int
    seen: float
    """When the detector last saw it, seconds on the camera's clock."""
    missed: bool
    """Whether the last detection did not see it: the box is then a memory."""
    confirmed: bool
    turn: float | None = None
    """As the detector last saw it; see `Detection`."""


class Tracker:
    """Joins detections to tracks by overlap; numbers are never used again."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        self._tracks: list[Track] = []
        self._detected: float | None = None
        self._searched: float | None = None
        self._next = 1

    @property
    def tracks(self) -> list[Track]:
        """The confirmed tracks, the largest first."""
        confirmed = (track for track in self._tracks if track.confirmed)
        return sorted(confirmed, key=lambda track: (-track.box.area, track.number))

    def wants_detection(self, time: float, moved: bool = True) -> bool:
        """Whether to detect faces in the frame of this time.

        Always while a track is unconfirmed or missed; else at the rate of `still`, or of
        `interval` where anything `moved` since, or a track's score is below `certainty`.
        """
        if self.has_unconfirmed or self._detected is None:
            return True
        enough = self._settings
        restless = moved or any(track.score < enough.certainty for track in self._tracks)
        return time - self._detected >= (enough.interval if restless else enough.still)

    def wants_search(self, time: float) -> bool:
        """Whether to look for others than the known faces in the frame of this time."""
        if not self._tracks or self._searched is None:
            return True
        return time - self._searched >= self._settings.still

    @property
    def boxes(self) -> list[Box]:
        """Where the known faces were last seen, confirmed or not."""
        return [track.box for track in self._tracks]

    @property
    def has_unconfirmed(self) -> bool:
        """Whether a track is missed or not confirmed."""
        return any(track.missed or not track.confirmed for track in self._tracks)

    def reset(self) -> None:
        """Drop every track, as after a gap in the frames."""
        self._tracks, self._detected = [], None

    def update(self, detections: list[Detection], time: float, searched: bool = True) -> None:
        """Take the faces found in the frame of this time, seconds."""
        self._detected = time
        self._searched = time if searched else self._searched
        large = [face for face in detections if face.box.width >= self._settings.smallest]
        pairs = self._pairs(large)
        kept = [self._follow(track, pairs.get(track.number), time) for track in self._tracks]
        followed = {id(face) for face in pairs.values()}
        fresh = [self._begin(face, time) for face in large if id(face) not in followed]
        self._tracks = [track for track in kept if self._lives(track, time)] + fresh

    def _pairs(self, detections: list[Detection]) -> dict[int, Detection]:
        """Return the detection of each continued track, by number; best overlaps first."""
        overlaps = sorted(
            (
                (track.box.overlap(face.box), track.number, index)
                for track in self._tracks
                for index, face in enumerate(detections)
            ),
            key=lambda pair: (-pair[0], pair[1]),
        )
        pairs: dict[int, int] = {}
        for overlap, number, index in overlaps:
            free = number not in pairs and index not in pairs.values()
            if overlap >= self._settings.overlap and free:
                pairs[number] = index
        return {number: detections[index] for number, index in pairs.items()}

    def _follow(self, track: Track, face: Detection | None, time: float) -> Track:
        if face is None:
            return replace(track, hits=0, missed=True)
        fresh = replace(
            track,
            box=face.box,
            score=face.score,
            turn=face.turn,
            certainty=(track.certainty + face.score) / 2,
            hits=track.hits + 1,
            seen=time,
            missed=False,
        )
        return replace(fresh, confirmed=track.confirmed or self._convinces(fresh))

    def _convinces(self, track: Track) -> bool:
        enough = self._settings
        return track.hits >= enough.hits and track.certainty >= enough.certainty

    def _begin(self, face: Detection, time: float) -> Track:
        number, self._next = self._next, self._next + 1
        track = Track(number, face.box, face.score, face.score, 1, time, False, False, face.turn)
        return replace(track, confirmed=self._convinces(track))

    def _lives(self, track: Track, time: float) -> bool:
        """Whether to keep a track: an unconfirmed one must be seen every time."""
        if not track.missed:
            return True
        return track.confirmed and time - track.seen < self._settings.patience
