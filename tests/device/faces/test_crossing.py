"""People who cross or touch keep their tracks: real faces, composed, before a real room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefer.messages import Box
from edgefer.preprocess import Pixels
from edgefer_device.bench.lab.face_sizes import read_clip
from edgefer_device.faces.opening import open_detector
from edgefer_device.faces.tracker import Tracker, TrackingSettings

SIZE = (640, 480)
HEAD = 150
"""Width of a head in the frame, pixels."""
RATE = 15.0

Place = Callable[[float], float]
"""The middle of a head across the frame, pixels, at a time in seconds."""


def head(data: Path, name: str) -> Pixels:
    """Return a clip's head, BGR with an ellipse as its fourth channel."""
    image = read_clip(data / "clips" / name)[0]
    box = open_detector().detect(image)[0].box
    left, top, side = int(box.left - 0.1 * box.width), int(box.top - 0.4 * box.width), box.width
    cut = image[max(0, top) : int(top + 1.6 * side), max(0, left) : int(left + 1.2 * side)]
    small = cv2.resize(cut, (HEAD, HEAD * cut.shape[0] // cut.shape[1]))
    mask = np.zeros(small.shape[:2], np.uint8)
    middle = (small.shape[1] // 2, small.shape[0] // 2)
    cv2.ellipse(mask, middle, middle, 0, 0, 360, 255, -1, cv2.LINE_AA)
    return np.dstack([small, cv2.GaussianBlur(mask, (0, 0), 2)])


def paste(frame: Pixels, head: Pixels, across: float) -> None:
    """Draw a head over a frame, as far as it is in it."""
    left, top = round(across) - HEAD // 2, 140
    begin, end = max(0, left), min(SIZE[0], left + HEAD)
    if begin >= end:
        return
    part = head[:, begin - left : end - left]
    share = part[..., 3:].astype(np.float32) / 255
    place = frame[top : top + len(head), begin:end]
    place[:] = (part[..., :3] * share + place * (1 - share)).astype(np.uint8)


@pytest.fixture(scope="module")
def room(data: Path) -> Pixels:
    image = read_clip(data / "clips/no_face.mp4")[0]
    return np.asarray(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA), np.uint8)


CROSSING = (lambda t: 120 + 160 * t, lambda t: 520 - 160 * t)
PASSING = (lambda t: 320.0, lambda t: 90 + 220 * t)
TOUCHING = (
    lambda t: 320 - 60 - 90 * abs(t - 1.25),
    lambda t: 320 + 60 + 90 * abs(t - 1.25),
)


@pytest.mark.parametrize("places", [CROSSING, PASSING, TOUCHING])
def test_each_keeps_its_track(data: Path, room: Pixels, places: tuple[Place, Place]) -> None:
    heads = [head(data, "single_face.mp4"), head(data, "hungry.mkv")]
    detector, tracker = open_detector(), Tracker(TrackingSettings())
    first: list[int] = []
    last: list[int] = []
    seen = 0.0
    for number in range(round(2.5 * RATE)):
        now, frame = number / RATE, room.copy()
        for one, place in zip(heads, places, strict=True):
            paste(frame, one, place(now))
        if tracker.wants_detection(now):
            search = tracker.wants_search(now)
            tracker.update(detector.watch(frame, tracker.boxes(now), search), now, search)
        owners = [owner([track.box for track in tracker.tracks], place(now)) for place in places]
        numbers = [tracker.tracks[at].number for at in owners if at is not None]
        if len(numbers) == 2:
            first, last, seen = first or numbers, numbers, now
    assert len(set(first)) == 2
    assert last == first
    assert seen > 2.0, "both were seen again after they met at 1.25 s"


def owner(boxes: list[Box], across: float) -> int | None:
    """Return which box is a head's."""
    near = [abs(box.left + box.width / 2 - across) for box in boxes]
    return near.index(min(near)) if near and min(near) < HEAD / 3 else None
