"""The page's texts: one file a language, English where a language lacks one."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from edgefer_device.sinks.mirror.settings import AUTO, LANGUAGES, languages

SPARE = "en"
"""The language that has every text."""


@cache
def texts(code: str) -> dict[str, Any]:
    """Return the texts of a language of the page, those it lacks in English."""
    own = _read(code)
    whole = _read(SPARE)
    for key, value in own.items():
        nested = isinstance(value, dict) and isinstance(whole.get(key), dict)
        whole[key] = {**whole[key], **value} if nested else value
    return whole


def chosen(setting: str, accepted: str) -> str:
    """Return the code of the language to speak.

    `setting` is that of the configuration; where it is auto, `accepted` decides, the
    Accept-Language header of a browser (RFC 9110, 12.5.4): of two that are wanted alike the
    first, and of a variant such as de-AT its language.
    """
    if setting != AUTO:
        return setting
    known = languages()
    for wanted in _ranked(accepted):
        if wanted in known:
            return wanted
    return SPARE


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
