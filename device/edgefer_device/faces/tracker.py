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
    """Seconds between two detections while a known face moves or, with nobody known, anything;
    frames between hold the box."""
    still: Annotated[float, Meta(ge=0, le=60)] = 0.5
    """Seconds between two detections while none of these moves and every track is sure; others are
    searched for half as often."""
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
    ignore_still: Annotated[float, Meta(ge=0, le=86_400)] = 600.0
    """Seconds without any movement after which a face is taken for a poster or a photograph:
    reported as `still`, and nobody's mood. 0 takes none for one."""


HIDDEN = 1.5
"""Seconds for which a face is kept that passes behind another one."""
MOVED = 0.15
"""Of its side: movement, or change in size, by which a face is somebody's. Detections of a picture
lie within 0.05."""
FARTHEST = 0.5
"""Seconds over which a face is taken to go on as it went."""


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
    place: Box
    """Where it was when it last moved."""
    moved: float
    """When that was."""
    turn: float | None = None
    """As the detector last saw it; see `Detection`."""
    pace: tuple[float, float] = (0.0, 0.0)
    """Of its middle, across and down, pixels a second; the last detections count more."""

    def expected(self, time: float) -> Box:
        """Return where the face is at a time if it went on as it did."""
        passed = min(time - self.seen, FARTHEST)
        left, top = self.box.left + passed * self.pace[0], self.box.top + passed * self.pace[1]
        return Box(left, top, self.box.width, self.box.height)


class Tracker:
    """Joins detections to tracks by overlap with where each goes; numbers are never used again."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        self._tracks: list[Track] = []
        self._detected: float | None = None
        self._searched: float | None = None
        self._stills: list[Track] = []
        self._next = 1

    @property
    def tracks(self) -> list[Track]:
        """The confirmed tracks, the largest first, without those that are `still`."""
        alive = (one for one in self._tracks if one.confirmed and not self._is_still(one))
        return sorted(alive, key=lambda track: (-track.box.area, track.number))

    @property
    def still(self) -> list[Track]:
        """The confirmed tracks that have not moved for `ignore_still`."""
        return [track for track in self._tracks if track.confirmed and self._is_still(track)]

    def _is_still(self, track: Track) -> bool:
        limit = self._settings.ignore_still
        return 0 < limit <= track.seen - track.moved

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
        return time - self._searched >= 2 * self._settings.still

    def boxes(self, time: float) -> list[Box]:
        """Return where the known faces are expected, confirmed or not."""
        return [track.expected(time) for track in self._tracks]

    @property
    def has_unconfirmed(self) -> bool:
        """Whether a track is missed or not confirmed."""
        return any(track.missed or not track.confirmed for track in self._tracks)

    def reset(self) -> None:
        """Drop every track, as after a gap in the frames."""
        self._remember_stills()
        self._tracks, self._detected = [], None

    def update(self, detections: list[Detection], time: float, searched: bool = True) -> None:
        """Take the faces found in the frame of this time, seconds."""
        self._detected = time
        self._searched = time if searched else self._searched
        large = [face for face in detections if face.box.width >= self._settings.smallest]
        pairs = self._pairs(large, time)
        kept = [self._follow(track, pairs.get(track.number), time) for track in self._tracks]
        followed = {id(face) for face in pairs.values()}
        fresh = [self._begin(face, time) for face in large if id(face) not in followed]
        seen = [track.box for track in [*kept, *fresh] if not track.missed]
        self._tracks = [track for track in kept if self._lives(track, time, seen)] + fresh
        self._remember_stills()

    def _remember_stills(self) -> None:
        """Keep where a picture hangs: who passes before it ends its track, not its stillness."""
        now, limit = self.still, self._settings.ignore_still
        latest = self._detected or 0.0
        kept = (
            one
            for one in self._stills
            if latest - one.seen < limit and all(_moved(one.box, other.box) for other in now)
        )
        self._stills = [*now, *kept]

    def _pairs(self, detections: list[Detection], time: float) -> dict[int, Detection]:
        """Return the detection of each continued track, by number; best overlaps first."""
        overlaps = sorted(
            (
                (track.expected(time).overlap(face.box), track.number, index)
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
            pace=_pace(track, face.box, time),
        )
        if _moved(track.place, face.box):
            fresh = replace(fresh, place=face.box, moved=time)
        return replace(fresh, confirmed=track.confirmed or self._convinces(fresh))

    def _convinces(self, track: Track) -> bool:
        enough = self._settings
        return track.hits >= enough.hits and track.certainty >= enough.certainty

    def _begin(self, face: Detection, time: float) -> Track:
        number, self._next = self._next, self._next + 1
        known = next((one for one in self._stills if not _moved(one.box, face.box)), None)
        moved = time if known is None else known.moved
        track = Track(
            number=number,
            box=face.box,
            score=face.score,
            certainty=face.score,
            hits=1,
            seen=time,
            missed=False,
            confirmed=False,
            place=face.box,
            moved=moved,
            turn=face.turn,
        )
        return replace(track, confirmed=self._convinces(track))

    def _lives(self, track: Track, time: float, seen: list[Box]) -> bool:
        """Whether to keep a track: an unconfirmed one must be seen every time."""
        if not track.missed:
            return True
        box, since = track.expected(time), time - track.seen
        behind = any(box.intersection(other) > 0 for other in seen)
        return track.confirmed and since < max(HIDDEN if behind else 0.0, self._settings.patience)


def _moved(place: Box, box: Box) -> bool:
    """Whether a face that was at a place is elsewhere now, or of another size."""
    enough = MOVED * place.width
    across = box.left + box.width / 2 - place.left - place.width / 2
    down = box.top + box.height / 2 - place.top - place.height / 2
    return max(abs(across), abs(down), abs(box.width - place.width)) > enough


def _pace(track: Track, box: Box, time: float) -> tuple[float, float]:
    """Return how fast a face moves that is at `box` now, half of it by this step alone."""
    passed = time - track.seen
    if passed <= 0:
        return track.pace
    across = box.left + box.width / 2 - track.box.left - track.box.width / 2
    down = box.top + box.height / 2 - track.box.top - track.box.height / 2
    return (track.pace[0] + across / passed) / 2, (track.pace[1] + down / passed) / 2
