"""The check of a dataset as one image: its classes, and examples of each fault."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from edgefer.errors import SettingsError
from edgefer.files import write_atomic
from edgefer.messages import to_json
from edgefer.preprocess import Pixels
from edgefer.theme import LIGHT, as_png
from edgefer_train.data.check import Check, Pair, Place

WIDTH = 10.0
"""Of the image, inches; so are all lengths here."""
MARGIN = 0.35
TILE = 0.70
GAP = 0.03
"""Between the images that belong together."""
ACROSS = 12
"""Images in a strip."""
UNLABELLED = "no label"
LINES = 5
"""Files that cannot be read, named before the rest is only counted."""

HEADER, BAR, STRIP, NOTE = 1.35, 0.32, 1.95, 0.8

ABSENT = "No damaged file, no copy, no conflict, no image of one grey level."

Group = tuple[Place, ...]
"""Images that stand side by side because they belong together."""


@dataclass(frozen=True)
class Strip:
    """Examples of one fault."""

    title: str
    said: str
    """How many there are where, and what that means; a line."""
    groups: tuple[Group, ...]


def write_check(check: Check, images: Pixels, folder: Path) -> None:
    """Write check.json and check.png into a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "check.json", msgspec.json.format(to_json(check).encode()))
        write_atomic(folder / "check.png", draw_check(check, images))
    except OSError as exc:
        raise SettingsError(f"{folder}: cannot write the check there: {exc.strerror}") from exc


def draw_check(check: Check, images: Pixels) -> bytes:
    """Return a PNG of a check; `images` (N, side, side) are all that were read, by row."""
    strips = [strip for strip in _strips(check) if strip.groups]
    bars = BAR * len(check.labels)
    first = HEADER + bars + MARGIN
    height = first + max(NOTE, STRIP * (len(strips) + bool(check.unreadable)))
    with LIGHT.applied(), warnings.catch_warnings():
        # A file's name may be in a script that the font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure = Figure(figsize=(WIDTH, height))
        _draw_header(figure, check, height)
        _draw_classes(_panel(figure, height, HEADER, bars, left=1.35, right=1.0), check)
        for at, strip in enumerate(strips):
            panel = _panel(figure, height, first + STRIP * at, STRIP)
            _draw_heading(panel, strip.title, strip.said)
            _draw_groups(panel, strip.groups, images)
        if not strips and not check.unreadable:
            _draw_heading(_panel(figure, height, first, NOTE), "Nothing else found", ABSENT, NOTE)
        if check.unreadable:
            _draw_unreadable(_panel(figure, height, height - STRIP, STRIP), check.unreadable)
        return as_png(figure)


def _panel(
    figure: Figure, height: float, top: float, size: float, left: float = MARGIN,
    right: float = MARGIN,
) -> Axes:  # fmt: skip
    """Axes at inches from the figure's top, left and right."""
    bottom = height - top - size
    place = (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH, size / height)
    return figure.add_axes(place)


def _draw_header(figure: Figure, check: Check, height: float) -> None:
    ratio = check.parts["Training"].imbalance
    spread = f"{ratio:.1f} times the smallest" if ratio else "beside an empty one"
    facts = [
        f"{check.images:,} images",
        f"labels {check.label_set}",
        f"split {check.split}",
        f"largest class of Training {spread}",
        f"sha256 {check.fingerprint[:12]}…",
    ]
    x = MARGIN / WIDTH
    name = _short(check.dataset, 60)
    title = figure.text(x, 1 - 0.28 / height, name, fontsize=18, fontweight="bold", va="top")
    title.set_parse_math(False)
    figure.text(x, 1 - 0.68 / height, "   ".join(facts), fontsize=10.5, va="top", color=LIGHT.soft)


def _draw_classes(panel: Axes, check: Check) -> None:
    """A bar a label, made of the parts."""
    rows, left = np.arange(len(check.labels)), np.zeros(len(check.labels))
    for (name, part), colour in zip(check.parts.items(), LIGHT.series, strict=False):
        counts = np.array([part.labels[label] for label in check.labels])
        panel.barh(rows, counts, 0.72, left, color=colour, label=f"{name} {part.images:,}")
        left += counts
    for row, count in zip(rows, left, strict=True):
        panel.text(count, int(row), f"  {count:,.0f}", va="center", fontsize=10.5)
    # A name may hold dollar signs.
    panel.set_yticks(rows, [_short(label, 14) for label in check.labels], parse_math=False)
    panel.tick_params(length=0, labelcolor=LIGHT.ink, labelsize=11)
    panel.set_xticks([])
    panel.spines[["bottom", "left"]].set_visible(False)
    panel.invert_yaxis()
    panel.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=10.5, borderaxespad=0,
        handlelength=1, handleheight=1, columnspacing=1.6,
    )  # fmt: skip


def _draw_heading(panel: Axes, title: str, said: str, height: float = STRIP) -> None:
    panel.set(xlim=(0, WIDTH - 2 * MARGIN), ylim=(height, 0))
    panel.set_axis_off()
    panel.axhline(0, color=LIGHT.line, linewidth=1)
    panel.text(0, 0.26, title, fontsize=12.5, fontweight="bold", va="center")
    panel.text(0, 0.5, said, fontsize=10, va="center", color=LIGHT.soft)


def _draw_groups(panel: Axes, groups: Iterable[Group], images: Pixels) -> None:
    for at, group in enumerate(groups):
        first = at * len(group) * (WIDTH - 2 * MARGIN) / ACROSS
        differ = len({place.label for place in group if place.label}) > 1
        for number, place in enumerate(group):
            _draw_tile(panel, first + number * (TILE + GAP), images[place.row], place, differ)


def _draw_unreadable(panel: Axes, files: tuple[str, ...]) -> None:
    _draw_heading(panel, "Cannot be read", f"{len(files):,}: mend or remove them.")
    for number, line in enumerate(files[:LINES]):
        panel.text(
            0, 0.8 + 0.2 * number, _short(line, 120), fontsize=9, va="center", parse_math=False
        )


def _draw_tile(panel: Axes, x: float, image: Pixels, place: Place, differ: bool) -> None:
    top = 0.7
    box = (x, x + TILE, top + TILE, top)
    panel.imshow(image, "gray", vmin=0, vmax=255, extent=box, interpolation="bicubic")
    # Without a frame a white image would not be seen.
    panel.add_patch(
        Rectangle((x, top), TILE, TILE, fill=False, edgecolor=LIGHT.line, linewidth=0.8)
    )
    label_colour = LIGHT.series[1] if differ else LIGHT.ink
    name = _short(place.where.rsplit("/", 1)[-1], 14)
    for at, text, size, colour, weight in (
        (
            0.12,
            _short(place.label or UNLABELLED, 10),
            9,
            label_colour,
            "bold" if differ else "normal",
        ),
        (0.27, place.part, 7, LIGHT.soft, "normal"),
        (0.40, name, 7, LIGHT.soft, "normal"),
    ):
        panel.text(
            x, top + TILE + at, text, fontsize=size, fontweight=weight, color=colour,
            va="center", parse_math=False,
        )  # fmt: skip


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 5]}…{text[-4:]}"


def _strips(check: Check) -> Iterator[Strip]:
    """Every fault, those first that make an accuracy dishonest."""
    for field, title, said in (
        ("copies", "Identical to an image of Training",
         "An accuracy on them says nothing of other faces."),
        ("near_copies", "Nearly identical to an image of Training",
         "Another cut, size or file of the same photo."),
    ):  # fmt: skip
        pairs = _found(check, field)[::-1]
        yield Strip(title, _counted(check, field, said), _examples(map(_both, pairs), 2))
    yield Strip(
        "Identical, with different labels",
        f"Groups: {len(check.conflicts):,}. At most one of a group's labels is right.",
        _examples(map(_two_labels, check.conflicts), 2),
    )
    yield Strip(
        "Identical within a part",
        _counted(check, "repeated", "Each counts twice, in the loss or in the accuracy."),
        _examples(map(_both, _found(check, "repeated")), 2),
    )
    for field, title, said in (
        ("constant", "Of one grey level, or nearly", "There is nothing to learn from them."),
        (
            "no_face",
            "No face, say most of FER+'s annotators",
            "FER2013 labels them all the same; FER+ leaves them out.",
        ),
    ):
        alone = ((place,) for place in _found(check, field))
        yield Strip(title, _counted(check, field, said), _examples(alone, 1))


def _found(check: Check, field: str) -> list[Any]:
    """What a field holds in all parts, in their order."""
    return [one for part in check.parts.values() for one in getattr(part, field) or ()]


def _counted(check: Check, field: str, said: str) -> str:
    """The sentence after how many there are in each part."""
    counts = {name: len(getattr(part, field) or ()) for name, part in check.parts.items()}
    return f"{', '.join(f'{n:,} of {name}' for name, n in counts.items() if n)}. {said}"


def _both(pair: Pair) -> Group:
    return (pair.image, pair.other)


def _two_labels(group: Group) -> Group:
    first = group[0]
    return (first, next(place for place in group if place.label != first.label))


def _examples(groups: Iterable[Group], size: int) -> tuple[Group, ...]:
    """As many groups as a strip has room for, spread evenly over all."""
    every = list(groups)
    room = min(ACROSS // size, len(every))
    return tuple(every[at * len(every) // room] for at in range(room))
