"""`blazeface`: faces of any size, by MediaPipe's two models over several squares of an image.

Faces of a sixteenth of the image's longer side up to half of it are found by the full-range model
over all of it, larger ones by the short-range model over a padded image, smaller ones by the
full-range model over tiles; `edgefer dev faces` measures it by size. Of 14 faces of 24 pixels in
640x480 the tiles of 352 pixels show 11, those of 192 all, and the short-range model gives 13 of
them 0.7 or more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from edgefer.messages import Box, Detection
from edgefer.preprocess import Pixels
from edgefer_device.faces.blazeface import SAME_FACE, BlazeFace, around
from edgefer_device.faces.detector import FaceDetector

SURE = 0.7
"""Score of a face beside which a frame of a video is not searched in other ways."""
LEAST = 0.63
"""Score of the faintest face of a still. Below `SURE` it is the mean of both models': 0.61 and less
for clouds and letters of no_face.mp4, 0.65 and more for the 43 faces of the photographs."""
LEAST_NEAR = 0.55
"""The same for the short-range model alone, which gives up to 0.52 to a
picture of no_face.mp4."""
PADDED = 1.5
"""Side of the square for close faces, in longer sides of the image: of 300 PublicTest faces that
fill the picture the short-range model finds 92 % at 1, 97 % at 1.25 and 1.5, 96 % at 2; with none
of its 5 false faces on no_face.mp4 from 1.25 on."""
TILE, OVERLAP = 0.55, 0.18
"""Side of a tile in longer sides of the image, and of its overlap with the next in its own."""
LEVELS = 2
"""How often tiles are made smaller by `TILE` in a still; a video's are the smallest."""
EAGER = 3
"""Tiles of a search until each was searched since somebody came or went; then it is one."""
LEAST_TILE = 192
"""Side of the smallest tile, pixels: in a smaller one the model sees no more."""
SMALL = 0.25
"""Side of the largest face that a tile tells, in its own: larger ones may be cut by its edge."""
AROUND = 2.2
"""Side of the square in which a known face is followed, in its own."""
FEW = 3
"""Faces up to which following each costs less than a pass over the whole frame."""
STEP = 8
"""Corners of tiles and followed squares are multiples of it, pixels, so that `halved` can halve
them."""
INSIDE = 0.6
"""Share of a box from which it is a part of another one."""


class FaceSearch(FaceDetector):
    """Searches stills in every way, and frames of a video in turns."""

    name = "blazeface"

    def __init__(self, far: BlazeFace, near: BlazeFace) -> None:
        self._far, self._near = far, near
        self._turn = self._known = self._since = 0

    def detect(self, image: Pixels) -> list[Detection]:
        """Return the faces of a BGR image uint8 (H, W, 3), the surest first."""
        found = self._far.detect(image)
        for level in range(1, LEVELS + 1):
            for tile in tiles(image, TILE**level):
                found += self._in_tile(image, tile)
        weighed = [self._weighed(image, face) for face in distinct(_surest(found))]
        close = self._near.look(image, around(image, PADDED))
        found = [face for face in weighed if face.score >= LEAST]
        found += [face for face in close if face.score >= LEAST_NEAR]
        return distinct(_surest(found))

    def _weighed(self, image: Pixels, face: Detection) -> Detection:
        """Return a face of the far model; a faint one with the mean of both models' scores."""
        if face.score >= SURE:
            return face
        closer = self._near.look(image, _followed(face.box))
        other = max((one.score for one in closer if _same(one.box, face.box)), default=0.0)
        return msgspec.structs.replace(face, score=(face.score + other) / 2)

    def watch(
        self, image: Pixels, known: Sequence[Box] = (), search: bool = True
    ) -> list[Detection]:
        """Return the faces of a video's frame, those near `known` boxes in it if seen.

        Known faces are followed by the short-range model. A search is over the whole frame and
        one tile after the other; it looks for close faces where nobody is seen.
        """
        if len(known) != self._known:
            self._known, self._since = len(known), self._turn
        if not known:
            return distinct(self._search(image))
        many = len(known) > FEW
        whole = self._far.detect(image) if many else []
        found = [face for face in whole if face.score >= SURE]
        for box in known:
            if not _seen(found, box):
                found += self._near.look(image, _followed(box))
        found += whole
        if not many and (search or not all(_seen(found, box) for box in known)):
            found += self._far.detect(image)
        if search:
            found += self._next_tiles(image)
        return _surest(distinct(found))

    def _search(self, image: Pixels) -> list[Detection]:
        found = self._far.detect(image)
        if not _sure(found):
            found += self._near.look(image, around(image, PADDED))
        if not _sure(found):
            found += self._next_tiles(image)
        return _surest(found)

    def _next_tiles(self, image: Pixels) -> list[Detection]:
        every, first = smallest_tiles(image), self._turn
        self._turn += min(len(every), EAGER if first - self._since < len(every) else 1)
        now = (every[at % len(every)] for at in range(first, self._turn))
        return [face for tile in now for face in self._in_tile(image, tile)]

    def _in_tile(self, image: Pixels, tile: Box) -> list[Detection]:
        most = SMALL * tile.width
        return [face for face in self._far.look(image, tile) if face.box.width <= most]


def tiles(image: Pixels, scale: float) -> list[Box]:
    """Return squares that cover an image (H, W, ...), of so many of its longer sides.

    None where they would be smaller than `LEAST_TILE`.
    """
    side = STEP * round(scale * max(image.shape[:2]) / STEP)
    if side < LEAST_TILE:
        return []
    return [
        Box(left, top, side, side)
        for top in _starts(image.shape[0], side)
        for left in _starts(image.shape[1], side)
    ]


def smallest_tiles(image: Pixels) -> list[Box]:
    """Return the smallest tiles of an image (H, W, ...) in which a model sees more."""
    levels = (tiles(image, TILE**level) for level in range(LEVELS, 0, -1))
    return next(filter(None, levels), [])


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles begin along one side of an image."""
    rest = length - side
    count = math.ceil(max(0.0, rest - OVERLAP * side / 2) / (side * (1 - OVERLAP)))
    if count == 0:
        return [STEP * (rest // 2 // STEP)]
    return [STEP * round(number * rest / count / STEP) for number in range(count + 1)]


def distinct(faces: Iterable[Detection]) -> list[Detection]:
    """Return each face once: of boxes that overlap, or lie within another, the first."""
    kept: list[Detection] = []
    for face in faces:
        if not any(_same(face.box, one.box) for one in kept):
            kept.append(face)
    return kept


def _same(one: Box, other: Box) -> bool:
    if one.overlap(other) > SAME_FACE:
        return True
    return one.intersection(other) > INSIDE * min(one.area, other.area)


def _followed(box: Box) -> Box:
    """Return the square in which to look for a known face."""
    side = max(STEP, STEP * round(AROUND * box.width / STEP))
    left = STEP * round((box.left + (box.width - side) / 2) / STEP)
    top = STEP * round((box.top + (box.height - side) / 2) / STEP)
    return Box(left, top, side, side)


def _seen(faces: Sequence[Detection], box: Box) -> bool:
    return any(face.box.overlap(box) > SAME_FACE for face in faces)


def _sure(faces: Sequence[Detection]) -> bool:
    return any(face.score >= SURE for face in faces)


def _surest(faces: Iterable[Detection]) -> list[Detection]:
    return sorted(faces, key=lambda face: -face.score)
