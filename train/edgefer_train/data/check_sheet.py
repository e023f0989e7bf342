"""The check of a dataset as one image: its classes, and examples of each fault."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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

WIDTH, MARGIN, TILE, GAP = 10.0, 0.35, 0.70, 0.03
"""Of the sheet, around it, of an image, between those that belong together; all in inches."""
HEADER, BAR, STRIP, NOTE = 1.35, 0.32, 1.95, 0.8
"""Heights of what the sheet is made of."""
ACROSS = 12
"""Images in a strip."""
LINES = 5
"""Files that cannot be read, named before the rest is only counted."""

ABSENT = "No damaged file, no copy, no conflict, no image of one grey level."

FAULTS = (
    ("copies", "Identical to an image of Training",
     "An accuracy on them says nothing of other faces."),
    ("near_copies", "Nearly identical to an image of Training",
     "Another cut, size or file of the same photo."),
    ("conflicts", "Identical, with different labels", "At most one of a group's labels is right."),
    ("repeated", "Identical within a part", "Each counts twice, in the loss or in the accuracy."),
    ("constant", "Of one grey level, or nearly", "There is nothing to learn from them."),
    ("no_face", "No face by the majority of FER+'s annotators",
     "FER2013 labels them all the same; FER+ leaves them out."),
)  # fmt: skip
"""Fields of a check, their titles and what they mean; first what makes an accuracy dishonest."""

Group = tuple[Place, ...]
"""Images that stand side by side because they belong together."""


@dataclass(frozen=True)
class Strip:
    """Examples of one fault."""

    title: str
    note: str
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
            _draw_heading(panel, strip.title, strip.note)
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


def _draw_heading(panel: Axes, title: str, note: str, height: float = STRIP) -> None:
    panel.set(xlim=(0, WIDTH - 2 * MARGIN), ylim=(height, 0))
    panel.set_axis_off()
    panel.axhline(0, color=LIGHT.line, linewidth=1)
    panel.text(0, 0.26, title, fontsize=12.5, fontweight="bold", va="center")
    panel.text(0, 0.5, note, fontsize=10, va="center", color=LIGHT.soft)


def _draw_groups(panel: Axes, groups: Iterable[Group], images: Pixels) -> None:
    for at, group in enumerate(groups):
        first = at * len(group) * (WIDTH - 2 * MARGIN) / ACROSS
        differ = len({place.label for place in group if place.label}) > 1
        for number, place in enumerate(group):
            _draw_tile(panel, first + number * (TILE + GAP), images[place.row], place, differ)


def _draw_unreadable(panel: Axes, files: tuple[str, ...]) -> None:
    _draw_heading(panel, "Cannot be read", f"{len(files):,}: fix or remove them.")
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
    style = (LIGHT.series[1], "bold") if differ else (LIGHT.ink, "normal")
    name = _short(place.where.rsplit("/", 1)[-1], 14)
    label = _short(place.label or "no label", 10)
    for at, text, size, colour, weight in (
        (0.12, label, 9, *style),
        (0.27, place.part, 7, LIGHT.soft, "normal"),
        (0.40, name, 7, LIGHT.soft, "normal"),
    ):
        panel.text(
            x, top + TILE + at, text, fontsize=size, color=colour, fontweight=weight,
            va="center", parse_math=False,
        )  # fmt: skip


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 5]}…{text[-4:]}"


def _strips(check: Check) -> Iterator[Strip]:
    for field, title, note in FAULTS:
        if field == "conflicts":
            groups = [_two_labels(group) for group in check.conflicts]
            counted = f"Groups: {len(groups):,}"
        else:
            found = {name: getattr(part, field) or () for name, part in check.parts.items()}
            groups = [_group(one) for part in found.values() for one in part]
            counted = ", ".join(f"{len(part):,} of {name}" for name, part in found.items() if part)
        if field.endswith("copies"):
            groups.reverse()  # those of PrivateTest first
        yield Strip(title, f"{counted}. {note}", _examples(groups))


def _group(found: Pair | Place) -> Group:
    return (found.image, found.other) if isinstance(found, Pair) else (found,)


def _two_labels(group: Group) -> Group:
    first = group[0]
    return (first, next(place for place in group if place.label != first.label))


def _examples(groups: Sequence[Group]) -> tuple[Group, ...]:
    """As many groups as a strip has room for, spread evenly over all."""
    room = min(ACROSS // len(groups[0]), len(groups)) if groups else 0
    return tuple(groups[at * len(groups) // room] for at in range(room))
