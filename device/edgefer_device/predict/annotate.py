"""Annotated images: every face framed and captioned, legible on any background."""

from __future__ import annotations

import functools
import math
import subprocess
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np

from edgefer.console import FallbackWarning
from edgefer.errors import ImageError, SettingsError
from edgefer.files import write_output
from edgefer.messages import Box, Face, Prediction
from edgefer.preprocess import Pixels
from edgefer_device.predict.images import caption
from edgefer_device.system.image_file import PHOTOS, read_image

FONT = cv2.FONT_HERSHEY_DUPLEX
"""The plainest that OpenCV carries. It has ASCII only; Pillow draws the rest with the system's
fonts."""

FINE = 4
"""Text is drawn this much larger and then shrunk, which smooths Hershey's strokes."""

SMALLEST = 640
"""Pixels of the longer side below which an image is enlarged, to make room for text."""

DARK, BRIGHT = (22, 20, 18), (255, 255, 255)
"""BGR; every line and letter is one on the other, so that one of them always shows."""

ROWS = 6
"""How many plates' heights a plate may be from its face, where faces are close."""

WRITTEN = (".jpg", ".jpeg", ".png", ".webp")
"""Formats that are kept; all others become PNG."""


def annotate(image: Pixels, faces: Sequence[Face]) -> Pixels:
    """Return a BGR image (H, W, 3) with each face framed and captioned; a small one is enlarged."""
    scale = max(1.0, SMALLEST / max(image.shape[:2]))
    canvas = np.array(image, np.uint8)
    if scale > 1:
        larger = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        canvas = np.asarray(larger, np.uint8)
    boxes = [Box(*(scale * side for side in msgspec.structs.astuple(face.box))) for face in faces]
    line = max(2, round(max(canvas.shape[:2]) / 320))
    for box in boxes:
        _frame(canvas, box, line)
    placed: list[tuple[Pixels, Box]] = []
    for face, box in zip(faces, boxes, strict=True):
        plate = _plate(caption(face), _text_height(box, canvas), canvas)
        taken = [*boxes, *map(_lower_half, boxes), *(place for _, place in placed)]
        placed.append((plate, _place(plate, box, canvas, taken, line)))
        _connect(canvas, box, placed[-1][1], line)
    for plate, place in placed:
        canvas[int(place.top) : int(place.bottom), int(place.left) : int(place.right)] = plate
    return canvas


def _frame(canvas: Pixels, box: Box, line: int) -> None:
    """Draw a bright line between two dark ones."""
    first = round(box.left), round(box.top)
    last = round(box.right), round(box.bottom)
    cv2.rectangle(canvas, first, last, DARK, 3 * line, cv2.LINE_AA)
    cv2.rectangle(canvas, first, last, BRIGHT, line, cv2.LINE_AA)


def _text_height(box: Box, canvas: Pixels) -> float:
    """Return the height of capitals in pixels: by the face, within what is legible."""
    side = max(canvas.shape[:2])
    return float(min(max(0.14 * box.width, side / 45), side / 20))


def _plate(text: str, height: float, canvas: Pixels) -> Pixels:
    """Return bright text on a dark plate, BGR, no larger than the image."""
    plate = _stroked(text, height) if text.isascii() else _typeset(text, height)
    room = min(canvas.shape[0] / plate.shape[0], canvas.shape[1] / plate.shape[1])
    shrunk = min(1 / FINE, room)
    size = (max(1, int(plate.shape[1] * shrunk)), max(1, int(plate.shape[0] * shrunk)))
    return np.asarray(cv2.resize(plate, size, interpolation=cv2.INTER_AREA), np.uint8)


def _stroked(text: str, height: float) -> Pixels:
    """Return a plate `FINE` times as large, its text in Hershey's strokes."""
    thick = max(1, round(FINE * height / 9))
    scale = cv2.getFontScaleFromHeight(FONT, round(FINE * height), thick)
    (width, high), below = cv2.getTextSize(text, FONT, scale, thick)
    pad = round(0.45 * FINE * height)
    plate = np.full((high + below + 2 * pad, width + 2 * pad, 3), DARK, np.uint8)
    cv2.putText(plate, text, (pad, pad + high), FONT, scale, BRIGHT, thick, cv2.LINE_AA)
    return plate


def _typeset(text: str, height: float) -> Pixels:
    """Return the same, its text in a font that has its letters."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        plain = text.encode("ascii", "replace").decode()
        warnings.warn(f"{text}: drawn as {plain}; {PHOTOS}", FallbackWarning, stacklevel=2)
        return _stroked(plain, height)
    size = 1.4 * FINE * height
    path = _font_of("".join(sorted({letter for letter in text if not letter.isascii()})))
    font = ImageFont.truetype(path, size) if path else ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    pad = round(0.45 * FINE * height)
    across, down = (math.ceil(side) + 2 * pad for side in (right - left, bottom - top))
    plate = Image.new("RGB", (across, down), DARK[::-1])
    ImageDraw.Draw(plate).text((pad - left, pad - top), text, BRIGHT, font)
    return np.ascontiguousarray(np.asarray(plate, np.uint8)[..., ::-1])


@functools.cache
def _font_of(text: str) -> str | None:
    """Return the file of the system font that has most letters of a text, as fontconfig says."""
    letters = " ".join(f"{ord(letter):x}" for letter in text)
    asked = ["fc-match", f"sans:charset={letters}", "--format=%{file}"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout or None
    except (OSError, subprocess.CalledProcessError):
        return None


def _place(plate: Pixels, box: Box, canvas: Pixels, taken: Sequence[Box], line: int) -> Box:
    """Return where a plate covers nothing taken, or the least, as near its face as possible."""
    (height, width), (rows, columns) = plate.shape[:2], canvas.shape[:2]
    above, below = box.top - height - 2 * line, box.bottom + 2 * line
    steps = [half * height / 2 for half in range(2 * ROWS)]
    tops = [top for away in steps for top in (above - away, below + away)]
    lefts = (box.left, box.left + (box.width - width) / 2, box.right - width)
    places = [
        Box(min(max(0, round(left)), columns - width), round(top), width, height)
        for top in [*tops, box.top, box.bottom - height]
        for left in lefts
        if 0 <= round(top) <= rows - height
    ]
    # A face that fills the image leaves no place outside its box: its forehead is covered then.
    places = places or [Box(0, 0, width, height)]
    return min(places, key=lambda place: sum(place.intersection(one) for one in taken))


def _lower_half(box: Box) -> Box:
    """Return where mouth and nose are: what a reader looks at first."""
    return Box(box.left, box.top + box.height / 2, box.width, box.height / 2)


def _connect(canvas: Pixels, box: Box, plate: Box, line: int) -> None:
    """Draw a line from a plate that is farther away to its face."""
    if plate.intersection(box):
        return
    up = plate.top < box.top
    x = round(min(max(plate.left + plate.width / 2, box.left), box.right))
    start = x, round(box.top if up else box.bottom)
    end = x, round(plate.bottom if up else plate.top)
    if abs(start[1] - end[1]) > 3 * line:
        cv2.line(canvas, start, end, DARK, 3 * line, cv2.LINE_AA)
        cv2.line(canvas, start, end, BRIGHT, line, cv2.LINE_AA)


def targets(images: Iterable[Path], folder: Path) -> dict[Path, Path]:
    """Return the file of each annotated image: `party.jpg` to `party.annotated.jpg`.

    Raises `SettingsError` where two would go to one file, or one would replace an input.
    """
    images = list(images)
    chosen = {image: folder / f"{image.stem}.annotated{_suffix(image)}" for image in images}
    sources = {image.resolve() for image in images}
    seen: dict[Path, Path] = {}
    for image, target in chosen.items():
        if target.resolve() in sources:
            raise SettingsError(f"{target}: is an input image; annotate into another folder")
        if target in seen:
            raise SettingsError(
                f"{seen[target]} and {image} would both become {target}; annotate them one by one"
            )
        seen[target] = image
    return chosen


def _suffix(image: Path) -> str:
    return image.suffix if image.suffix.lower() in WRITTEN else ".png"


def write_annotated(prediction: Prediction, target: Path) -> None:
    """Write a prediction's image annotated; raise `ImageError` or `SettingsError`."""
    image = annotate(read_image(Path(prediction.image)), prediction.faces)
    done, content = cv2.imencode(target.suffix, image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    if not done:
        raise ImageError(f"{target}: OpenCV cannot write this format")
    write_output(target, content.tobytes())
