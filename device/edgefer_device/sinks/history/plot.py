"""The history as an SVG plot, written without a plotting library, which no device needs to have.

Above, a bar for each day, as high as the time with a face and divided by mood; below, the
hours of the day in which each mood was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, time, timedelta, tzinfo
from html import escape
from pathlib import Path

from edgefer.errors import SettingsError
from edgefer_device.sinks.history.report import DayShares, by_day, moods_of, write
from edgefer_device.sinks.history.store import MoodSpan, totals
from edgefer_device.system.clock import Hours, duration, time_words

WIDTH = 960
LEFT, RIGHT = 96, 24
TOP, BARS, GAP, ROW = 84, 240, 74, 22
"""Pixels: head, height of the bars, between the two parts, height of a mood's row."""
HOURS = 24

Colour = tuple[int, int, int]
COLOURS: dict[str, Colour] = {
    "neutral": (218, 223, 233),
    "happy": (237, 204, 107),
    "surprise": (230, 123, 196),
    "sad": (94, 147, 255),
    "angry": (255, 99, 91),
    "fear": (208, 155, 253),
    "disgust": (147, 233, 166),
    "contempt": (208, 169, 125),
    "unknown": (181, 199, 222),
}
"""The mirror page's (moods.js), which the colour-blind tell apart."""
OTHERS = ("#4fa8a0", "#c0a030", "#7088a0", "#b06090")
"""For labels of a model's own."""


def darkened(colour: Colour) -> Colour:
    """Return a colour for a light ground, as the page's `darken` does."""
    low, high = min(colour), max(colour)
    red, green, blue = (round((level - 0.75 * low) * 184 / high) for level in colour)
    return red, green, blue


def _fills(colours: Mapping[str, Colour]) -> str:
    return " ".join(f".{mood} {{ fill: rgb{colour} }}" for mood, colour in colours.items())


STYLE = f"""
svg {{ font: 13px system-ui, sans-serif; background: #fff; color: #20262c }}
text {{ fill: currentColor }} .soft {{ opacity: .65 }} .title {{ font-size: 20px }}
line {{ stroke: currentColor; stroke-opacity: .15 }} .end {{ text-anchor: end }}
.middle {{ text-anchor: middle }} .cell {{ fill: currentColor; fill-opacity: .05 }}
{_fills({mood: darkened(colour) for mood, colour in COLOURS.items()})}
@media (prefers-color-scheme: dark) {{
  svg {{ background: #101418; color: #e4e8ec }} {_fills(COLOURS)}
}}
"""


def check_name(path: Path) -> None:
    """Raise `SettingsError` for a file name that is not SVG's."""
    if path.suffix.lower() != ".svg":
        raise SettingsError(f"{path}: the plot is an SVG image; end its name in .svg")


def write_plot(path: Path, spans: Sequence[MoodSpan], clock: Hours = 24) -> None:
    """Plot some history; raise `SettingsError` if it is empty or the file cannot be written."""
    if not spans:
        raise SettingsError(f"{path}: not drawn: nothing was seen in these days")
    write(path, to_svg(spans, clock))


def to_svg(spans: Sequence[MoodSpan], clock: Hours = 24, zone: tzinfo | None = None) -> bytes:
    """Return the plot of some history, which must not be empty."""
    days, moods = by_day(spans, zone), moods_of(by_day(spans, zone))
    height = TOP + BARS + GAP + ROW * len(moods) + 52
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(_title(days))}</title><style>{STYLE}</style>",
        _text(LEFT, 36, _title(days), "title"),
        _text(LEFT, 58, "What faces showed, not what people felt", "soft"),
        *_bars(days, moods),
        *_by_hour(spans, moods, clock, zone),
        "</svg>\n",
    ]
    return "\n".join(parts).encode()


def _title(days: Sequence[DayShares]) -> str:
    first, last = days[0].date, days[-1].date
    if first == last:
        return f"Expressions on {_words(first)}"
    return f"Expressions from {_words(first)} to {_words(last)}"


def _words(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _bars(days: Sequence[DayShares], moods: Sequence[str]) -> Iterator[str]:
    """Yield a stacked bar for each day, days without anything included."""
    first, seen = days[0].date, {day.date: day for day in days}
    count = (days[-1].date - first).days + 1
    step = (WIDTH - LEFT - RIGHT) / count
    most = max(day.total for day in days)
    for line in (0, 0.5, 1):
        y = TOP + BARS * (1 - line)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(LEFT - 10, y + 4, duration(line * most) if line else "0", "soft end")
    each = max(1, -(-count // 14))
    for place in range(count):
        day, left = first + timedelta(days=place), LEFT + place * step
        # Counted from the end, so that the last day always bears its name.
        if (count - 1 - place) % each == 0:
            yield _text(left + step / 2, TOP + BARS + 20, f"{day.day} {day:%b}", "soft middle")
        if day in seen:
            yield from _bar(seen[day], moods, left, min(step, 64), step, most)


def _bar(
    day: DayShares, moods: Sequence[str], left: float, width: float, step: float, most: float
) -> Iterator[str]:
    bottom, x = float(TOP + BARS), left + (step - 0.8 * width) / 2
    for mood in moods:
        if (seconds := day.seconds.get(mood, 0.0)) > 0:
            tall = BARS * seconds / most
            bottom -= tall
            words = f"{_words(day.date)}: {mood} {duration(seconds)}, {day.share(mood):.0%}"
            yield _box(x, bottom, 0.8 * width, tall, mood, 1.0, words)


def _by_hour(
    spans: Iterable[MoodSpan], moods: Sequence[str], clock: Hours, zone: tzinfo | None
) -> Iterator[str]:
    """Yield a row for each mood, with a cell for each hour of the day."""
    words = [time_words(time(hour % HOURS), clock) for hour in range(HOURS + 1)]
    hours = totals(spans, lambda moment: moment.hour, zone)
    top, step = TOP + BARS + GAP, (WIDTH - LEFT - RIGHT) / HOURS
    yield _text(LEFT, top - 12, "By the hour of the day: share of the time with a face", "soft")
    for row, mood in enumerate(moods):
        y = top + row * ROW
        yield _text(LEFT - 10, y + 15, mood, "end")
        for hour in range(HOURS):
            seen = hours.get(hour, {})
            x, share = LEFT + hour * step, seen.get(mood, 0.0) / (sum(seen.values()) or 1)
            size = f'x="{x + 1:.1f}" y="{y + 1}" width="{step - 2:.1f}" height="{ROW - 2}"'
            yield f'<rect {size} rx="3" class="cell"/>'
            if share:
                about = f"{words[hour]} to {words[hour + 1]}: {mood} {share:.0%}"
                yield _box(x + 1, y + 1, step - 2, ROW - 2, mood, share**0.6, about)
    for hour in range(0, HOURS + 1, 3):
        yield _text(LEFT + hour * step, top + len(moods) * ROW + 20, words[hour], "soft middle")


def _box(
    x: float, y: float, width: float, height: float, mood: str, opacity: float, words: str
) -> str:
    # A label of a model's own gets a steady colour by its name.
    other = OTHERS[sum(mood.encode()) % len(OTHERS)]
    fill = f'class="{mood}"' if mood in COLOURS else f'fill="{other}"'
    size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    look = f'rx="3" {fill} fill-opacity="{opacity:.2f}"'
    return f"<rect {size} {look}><title>{escape(words)}</title></rect>"


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'
