"""The mood of several faces together."""

from __future__ import annotations

import msgspec
import pytest

from edgefer.messages import Box, Face, Report
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.mood.household import Household

LABELS = ("happy", "sad", "neutral")


def face(track: int, label: str, side: float = 50.0, reason: str | None = None) -> Face:
    return Face(track, Box(0, 0, side, side), 0.9, label, {}, reason)


def report(time: float, *faces: Face) -> Report:
    mood = faces[0].label if faces else None
    return Report(time, round(10 * time), faces, mood, 0.5 if faces else None)


def household() -> Household:
    return Household(LABELS, MoodSettings())


def reported(home: Household, start: float, seconds: float, *faces: Face) -> list[str | None]:
    """What is reported of the same faces, ten times a second."""
    times = (start + step / 10 for step in range(round(10 * seconds)))
    return [home.apply(report(time, *faces)).mood for time in times]


def test_one_face_speaks_for_itself_at_once() -> None:
    home = household()
    for moment, label in enumerate(("happy", "sad", "happy")):
        given = report(moment / 10, face(1, label))
        assert home.apply(given) is given
    assert home.apply(report(1.0)).mood is None


def test_several_faces_of_one_mood_outweigh_one_and_unknown_faces_abstain() -> None:
    faces = (face(1, "sad", 60), face(2, "happy"), face(3, "unknown", 300), face(4, "happy"))
    assert reported(household(), 0.0, 1.0, *faces)[-1] == "happy"


def test_a_larger_face_weighs_more() -> None:
    assert reported(household(), 0.0, 1.0, face(1, "sad", 90), face(2, "happy"))[-1] == "sad"
    assert reported(household(), 0.0, 1.0, face(1, "sad"), face(2, "happy", 90))[-1] == "happy"


def test_who_has_been_in_view_for_longer_weighs_more() -> None:
    home, resident = household(), face(1, "happy")
    reported(home, 0.0, 5.0, resident)
    passer = face(2, "sad", 60)
    assert set(reported(home, 5.0, 2.0, resident, passer)) == {"happy"}
    assert reported(home, 7.0, 15.0, resident, face(2, "sad", 90))[-1] == "sad"


def test_a_change_takes_more_than_a_frame_and_less_than_a_second() -> None:
    home = household()
    reported(home, 0.0, 10.0, face(1, "happy"), face(2, "happy"))
    moods = reported(home, 10.0, 2.0, face(1, "sad"), face(2, "sad"))
    assert moods[0] == "happy"
    assert moods[10:] == ["sad"] * 10


def test_two_moods_shown_alike_do_not_take_turns() -> None:
    home = household()
    reported(home, 0.0, 10.0, face(1, "happy"), face(2, "happy"))
    for moment in range(100):
        sides = (52, 48) if moment % 10 < 5 else (48, 52)
        faces = (face(1, "happy", sides[0]), face(2, "sad", sides[1]))
        assert home.apply(report(10 + moment / 10, *faces)).mood == "happy"


def test_nothing_else_of_the_report_is_touched() -> None:
    given = report(3.0, face(1, "sad", 60), face(2, "happy"), face(3, "happy"))
    changed = household().apply(given)
    assert (changed.mood, changed.faces, changed.time) == ("happy", given.faces, 3.0)
    assert changed.confidence == pytest.approx(0.6, abs=0.3)


def test_where_nobody_can_be_read_the_largest_face_says_why() -> None:
    dark, blurred = face(1, "unknown", 60, "dark"), face(2, "unknown", 50, "blurred")
    changed = household().apply(report(0.0, dark, blurred))
    assert (changed.mood, changed.reason) == ("unknown", "dark")
    happy = msgspec.structs.replace(blurred, label="happy", reason=None)
    changed = household().apply(report(0.0, dark, happy))
    assert (changed.mood, changed.reason) == ("happy", None)
