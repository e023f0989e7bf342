"""The `[mirror]` table, and the page's texts: one file a language, in English what it lacks."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from edgefer.appearance import Appearance
from edgefer.settings import nearest
from edgefer_device.system.clock import WEEKDAYS, Hours
from edgefer_device.system.time_of_day import TIME, TimeOfDay

LANGUAGES = Path(__file__).parent / "page" / "languages"
"""One JSON file of texts for each language, by its code (BCP 47)."""
AUTO = "auto"
FALLBACK = "en"
"""The language that has every text."""
LONGEST_NAME = 24
HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.IGNORECASE)
"""Without scheme, port or wildcard; other letters as browsers send them (xn--...)."""
ORIGIN = re.compile(rf"https?://{HOST_NAME.pattern}(:\d{{1,5}})?", re.IGNORECASE)
WeekMoment = Annotated[
    str,
    msgspec.Meta(
        pattern=rf"^(({'|'.join(WEEKDAYS)}) {TIME})?\Z",
        extra={"expected": "a day and time such as sun 19:00, or empty"},
    ),
]


class MirrorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[mirror]` table."""

    language: str = AUTO
    """A code such as `de`; auto takes the browser's, where the page has it."""
    greeting: bool = True
    """Whether the page greets whoever comes."""
    name: str = ""
    """Whom the greeting names."""
    evening: TimeOfDay = "22:00"
    """From when the page is dimmed, local time."""
    morning: TimeOfDay = "06:00"
    """Until when."""
    theme: Literal["dark", "light", "contrast"] = "dark"
    """Dark for two-way glass, light for a plain screen, contrast for weak eyes."""
    text_size: Annotated[float, msgspec.Meta(ge=0.8, le=1.6)] = 1.0
    """Size of all small text; the mood is as large as fits."""
    clock: Hours = 24
    """Hours of the clock, here, in `edgefer history` and in `edgefer content try`."""
    motion: bool = True
    """Whether the halo moves; a browser that asks for reduced motion gets none anyway."""
    enroll: bool = False
    """Whether the page has a button that starts `edgefer enroll`."""
    week_at: WeekMoment = "sun 19:00"
    """When the week opens by itself, for the first who comes; "" for never."""
    hours: Annotated[float, msgspec.Meta(ge=0.5, le=24)] = 3.0
    """That the ribbon comes to cover; it begins with ten minutes."""
    hosts: tuple[str, ...] = ()
    """Names by which a proxy before the page, or before `metrics:`, is reached."""
    frame_ancestors: tuple[str, ...] = ()
    """Origins whose pages may show this one in a frame, such as `http://localhost:8080`."""

    def __post_init__(self) -> None:
        known = [AUTO, *languages()]
        if self.language not in known:
            guess = nearest(self.language, known)
            hint = f"; did you mean '{guess}'?" if guess else ""
            raise ValueError(f"language must be one of {', '.join(known)}{hint}")
        if len(self.name) > LONGEST_NAME or not self.name.isprintable():
            raise ValueError(f"name must be one line of at most {LONGEST_NAME} characters")
        if wrong := [host for host in self.hosts if not HOST_NAME.fullmatch(host)]:
            raise ValueError(f"hosts must be names such as 'mirror.example', got {wrong[0]!r}")
        if wrong := [each for each in self.frame_ancestors if not ORIGIN.fullmatch(each)]:
            raise ValueError(
                "frame_ancestors must be origins such as 'http://localhost:8080',"
                f" without a path, got {wrong[0]!r}"
            )


def languages() -> list[str]:
    """Return the codes of the languages that the page has."""
    return sorted(path.stem for path in LANGUAGES.glob("*.json"))


@cache
def load_texts(code: str) -> dict[str, Any]:
    """Return the page's texts in a language, those it lacks in English."""
    merged = _read(FALLBACK)
    for key, value in _read(code).items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if nested else value
    return merged


def texts_for(code: str, appearance: Appearance) -> dict[str, Any]:
    """Return the page's texts in a language, with a model's own names and colours of labels."""
    texts = load_texts(code)
    moods = texts["moods"] | appearance.names_in(code)
    return texts | {"moods": moods, "colours": appearance.colours}


def choose_language(setting: str, accepted: str) -> str:
    """Return the code of the language to show.

    `setting` is that of the configuration; where it is auto, `accepted` decides, the
    Accept-Language header of a browser (RFC 9110, 12.5.4): of two with equal weight the
    first, and of a variant such as de-AT its language.
    """
    if setting != AUTO:
        return setting
    known = languages()
    return next((code for code in _ranked(accepted) if code in known), FALLBACK)


def _ranked(accepted: str) -> list[str]:
    """Return the languages of an Accept-Language header, the most wanted first."""
    ranked: list[tuple[float, str]] = []
    for item in accepted.split(","):
        tag, *parameters = item.split(";")
        quality = next((p.strip()[2:] for p in parameters if p.strip().startswith("q=")), "1")
        try:
            weight = float(quality)
        except ValueError:
            continue
        if weight > 0:
            ranked.append((-weight, tag.strip().lower().partition("-")[0]))
    return [language for _, language in sorted(ranked, key=lambda pair: pair[0])]


def _read(code: str) -> dict[str, Any]:
    return msgspec.json.decode((LANGUAGES / f"{code}.json").read_bytes(), type=dict[str, Any])
