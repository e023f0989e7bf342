"""`edgefer dev faces`: which faces each detector finds, by their height.

The marked faces of photographs, and those of clips, are brought to a height and put with their
surroundings somewhere into the room of a clip without a face; FER2013's fill the picture. What is
found in a still is compared with what a daemon reports of the same frame after some seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import msgspec
import numpy as np

from edgefer.console import track
from edgefer.errors import SettingsError
from edgefer.machine import machine
from edgefer.messages import Box
from edgefer.preprocess import Pixels
from edgefer_device.bench.labelled_faces import MarkedPhoto, read_part, read_photos
from edgefer_device.cameras.opening import open_camera
from edgefer_device.faces.detector import FaceDetector
from edgefer_device.faces.opening import DETECTORS, open_detector
from edgefer_device.faces.tracker import Tracker, TrackingSettings

FRAME = (640, 480)
"""Width and height of the frames, pixels."""
HEIGHTS = (20, 24, 28, 32, 36, 40, 48, 60, 80, 120, 200, 300, 400, 480)
"""Of the faces in them, pixels."""
CLIPS = ("help.mkv", "hungry.mkv", "thanks.mkv", "single_face.mp4")
EMPTY = "no_face.mp4"
FILLED = 192
"""Side of a picture that one of FER2013's faces fills, pixels: four times its own."""
SAME = 0.25
"""Overlap from which a box is the marked face: annotations mark the head, detectors the face."""
WATCHED, PERIOD = 12, 0.5
"""Frames that a daemon is shown of each, and the seconds from one to the next."""
GRAIN = 3.0
"""Their noise, standard deviation in grey levels."""


@dataclass(frozen=True, slots=True)
class FacesRequest:
    """What `edgefer dev faces` measures."""

    data: Path
    """Folder with `fer2013.npz`, `photos` and `clips`."""
    detectors: tuple[str, ...] = ()
    """Names; none means all."""
    count: int | None = None
    """Faces of each height; None takes all."""


class Found(msgspec.Struct, frozen=True):
    """One detector on faces of one height."""

    detector: str
    height: int | None
    """Pixels of 480; None where a face fills the picture."""
    faces: int
    still: int
    """How many of them are found in a picture."""
    watched: int
    """How many of them a daemon reports after some seconds."""


class NoFaces(msgspec.Struct, frozen=True):
    """One detector on the photographs as they are, and on a clip without a face."""

    detector: str
    marked: int
    """Faces of the photographs."""
    found: int
    elsewhere: int
    """Boxes that are no marked face."""
    milliseconds: float
    """Median a photograph."""
    frames: int
    """Of the clip."""
    still: int
    """Frames of it in which a face is found."""
    watched: int
    """Frames of it of which a daemon reports a face."""


class FaceSizes(msgspec.Struct, frozen=True):
    """The JSON of `edgefer dev faces`."""

    machine: str
    heights: tuple[Found, ...]
    whole: tuple[NoFaces, ...]


def measure(request: FacesRequest) -> FaceSizes:
    """Measure each detector; raises an `EdgeferError` for what cannot be read or opened."""
    cv2.setNumThreads(1)
    photos = read_photos(request.data / "photos")
    room = read_clip(request.data / "clips" / EMPTY)
    chips = read_part(request.data, "PublicTest", request.count or 300).images
    filled = [_filled(chip) for chip in chips]
    faces = [*photos, *(_marked(request.data / "clips" / name) for name in CLIPS)]
    found, whole = [], []
    for name in request.detectors or DETECTORS:
        detector = open_detector(name)
        for height in track(HEIGHTS, name):
            scenes = list(islice(_scenes(faces, height, room), request.count))
            found.append(count_found(name, detector, scenes, height))
        found.append(count_found(name, detector, filled, None))
        whole.append(check_whole(name, detector, photos, room))
    return FaceSizes(machine(), tuple(found), tuple(whole))


def read_clip(path: Path) -> list[Pixels]:
    """Return the frames of a clip, BGR; raise a `CameraError`."""
    with closing(open_camera(f"file:{path}")) as camera:
        return [frame.image for frame in camera.frames()]


def _marked(path: Path) -> MarkedPhoto:
    """Return a clip's first frame with its largest face, as found where it is easily found."""
    image = read_clip(path)[0]
    found = sorted((face.box for face in open_detector().detect(image)), key=lambda box: -box.area)
    if not found:
        raise SettingsError(f"{path}: no face in its first frame, expected one person")
    return MarkedPhoto(image, (found[0],))


def _filled(chip: Pixels) -> MarkedPhoto:
    large = cv2.resize(chip, (FILLED, FILLED), interpolation=cv2.INTER_CUBIC)
    colour = np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR), np.uint8)
    return MarkedPhoto(colour, (Box(0, 0, FILLED, FILLED),))


def _scenes(
    photos: Iterable[MarkedPhoto], height: int, room: Sequence[Pixels]
) -> Iterator[MarkedPhoto]:
    """Yield every marked face once, brought to a height, somewhere in a room."""
    random = np.random.default_rng(0)
    for photo in photos:
        for box in photo.boxes:
            behind = room[int(random.integers(len(room)))]
            share = random.random(2)
            yield place(photo.image, box, height, behind, (float(share[0]), float(share[1])))


def place(
    image: Pixels, box: Box, height: int, room: Pixels, share: tuple[float, float]
) -> MarkedPhoto:
    """Return a frame of a room with an image in it, whose face at `box` has this height.

    `share` says how far across and down the face is, 0..1; it is never cut by the frame's edge.
    """
    scale = height / box.height
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)
    canvas = np.asarray(cv2.resize(room, FRAME, interpolation=cv2.INTER_AREA), np.uint8)
    size = (round(scale * box.width), height)
    target = [
        max(0, round(part * (whole - own)))
        for part, whole, own in zip(share, FRAME, size, strict=True)
    ]
    left, top = target[0] - round(scale * box.left), target[1] - round(scale * box.top)
    across = slice(max(0, left), min(FRAME[0], left + scaled.shape[1]))
    down = slice(max(0, top), min(FRAME[1], top + scaled.shape[0]))
    canvas[down, across] = scaled[
        down.start - top : down.stop - top, across.start - left : across.stop - left
    ]
    return MarkedPhoto(canvas, (Box(target[0], target[1], *size),))


def count_found(
    name: str, detector: FaceDetector, photos: Sequence[MarkedPhoto], height: int | None
) -> Found:
    """Count the faces that a detector finds, one a picture."""
    still = watched = 0
    for photo in photos:
        still += known_faces(photo, (face.box for face in detector.detect(photo.image)))
        fresh = open_detector(name)  # as a daemon has it at its start
        random = np.random.default_rng(0)
        frames = (grainy(photo.image, random) for _ in range(WATCHED))
        watched += known_faces(photo, list(reported(fresh, frames, PERIOD))[-1])
    return Found(name, height, len(photos), still, watched)


def grainy(image: Pixels, random: np.random.Generator) -> Pixels:
    """Return an image with a sensor's noise."""
    noise = random.normal(0, GRAIN, image.shape).astype(np.float32)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def reported(
    detector: FaceDetector, frames: Iterable[Pixels], period: float
) -> Iterator[list[Box]]:
    """Yield the boxes that a daemon reports of each frame."""
    tracker = Tracker(TrackingSettings())
    for number, image in enumerate(frames):
        now = number * period
        if tracker.wants_detection(now):
            search = tracker.wants_search(now)
            tracker.update(detector.watch(image, tracker.boxes(now), search), now, search)
        yield [one.box for one in tracker.tracks]


def check_whole(
    name: str, detector: FaceDetector, photos: Sequence[MarkedPhoto], room: Sequence[Pixels]
) -> NoFaces:
    """Count the marked faces of photographs, each once, and boxes that are none."""
    hits, false, times = 0, 0, []
    for photo in photos:
        begun = time.perf_counter()
        seen = [face.box for face in detector.detect(photo.image)]
        times.append(1000 * (time.perf_counter() - begun))
        known = known_faces(photo, seen)
        hits, false = hits + known, false + len(seen) - known
    return NoFaces(
        name,
        sum(len(photo.boxes) for photo in photos),
        hits,
        false,
        float(np.median(times)),
        len(room),
        sum(bool(detector.detect(image)) for image in room),
        sum(map(bool, reported(detector, room, 1 / 30))),
    )


def known_faces(photo: MarkedPhoto, seen: Iterable[Box]) -> int:
    """Return how many of a photograph's marked faces are among the boxes."""
    seen = list(seen)
    return sum(any(box.overlap(one) > SAME for one in seen) for box in photo.boxes)


def describe(result: FaceSizes) -> Iterator[str]:
    """Yield the tables, line by line."""
    names = [one.detector for one in result.whole]
    yield f"faces found in a picture / reported by a daemon, {result.machine}"
    yield f"{'height':>9}" + "".join(f"{name:>20}" for name in names)
    for height in dict.fromkeys(one.height for one in result.heights):
        row = [one for one in result.heights if one.height == height]
        label = f"{height} px" if height else "filled"
        cells = (f"{_percent(o.still, o.faces)} / {_percent(o.watched, o.faces)}" for o in row)
        yield f"{label:>9}" + "".join(f"{cell:>20}" for cell in cells)
    for one in result.whole:
        yield (
            f"{one.detector}: {one.found} of {one.marked} marked faces of photographs, "
            f"{one.elsewhere} boxes elsewhere, {one.milliseconds:.1f} ms an image; of "
            f"{one.frames} frames without a face {one.still} / {one.watched} with one"
        )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"
