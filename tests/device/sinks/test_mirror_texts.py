"""The page's languages: complete, and chosen as the browser wishes."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from fontTools.ttLib import TTFont

from chinese_font import FONT, wanted
from edgefer.errors import SettingsError
from edgefer.labels import FER2013, FERPLUS, UNKNOWN
from edgefer.messages import REASONS
from edgefer.settings import parse
from edgefer_device.daemon.configuration import Config
from edgefer_device.sinks.mirror.settings import (
    LANGUAGES,
    MirrorSettings,
    choose_language,
    languages,
    load_texts,
)

ENGLISH = msgspec.json.decode((LANGUAGES / "en.json").read_bytes(), type=dict[str, Any])


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def test_there_are_four_languages() -> None:
    assert languages() == ["de", "en", "es", "zh"]


@pytest.mark.parametrize("code", languages())
def test_a_language_has_every_text_with_the_same_gaps(code: str) -> None:
    own = flat(msgspec.json.decode((LANGUAGES / f"{code}.json").read_bytes(), type=dict[str, Any]))
    english = flat(ENGLISH)
    assert own.keys() == english.keys()
    for key, text in own.items():
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", english[key])), key


def test_every_mood_and_every_reason_has_a_word() -> None:
    assert ENGLISH["moods"].keys() == {*FER2013, *FERPLUS, UNKNOWN}
    assert ENGLISH["reasons"].keys() == set(REASONS)


def test_what_a_language_lacks_is_said_in_english() -> None:
    assert load_texts("de")["close"] == "Schließen"
    assert load_texts("de").keys() == ENGLISH.keys()


@pytest.mark.parametrize(
    ("setting", "accepted", "code"),
    [
        ("auto", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("auto", "fr;q=1, en;q=0.3, es;q=0.7", "es"),
        ("auto", "zh-CN", "zh"),
        ("auto", "fr, it", "en"),
        ("auto", "", "en"),
        ("auto", "de;q=0, es;q=x, ,zh;q=0.1", "zh"),
        ("es", "de", "es"),
    ],
)
def test_the_language_is_the_configured_or_the_best_of_the_browsers(
    setting: str, accepted: str, code: str
) -> None:
    assert choose_language(setting, accepted) == code


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="language must be one of auto, de, en, es, zh"):
        MirrorSettings(language="fr")


@pytest.mark.parametrize("wrong", [{"evening": "25:00"}, {"name": "a\nb"}, {"morning": "6"}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"\[?mirror.* (time of day|one line)"):
        parse({"mirror": wrong}, Config, "a.toml")


def test_the_page_brings_every_chinese_character_that_it_says() -> None:
    """Where this fails, `python tools/chinese_font.py` makes the font anew."""
    characters = TTFont(FONT).getBestCmap()
    assert [letter for letter in wanted() if ord(letter) not in characters] == []
    assert len(wanted()) > 200
