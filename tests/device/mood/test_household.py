"""The mood of several faces together."""

from __future__ import annotations

import msgspec
import pytest

from edgefer.messages import Box, Face, Report
from edgefer_device.mood.household import Household, confidence, vote


def face(label: str, side: float = 50.0, sure: float = 0.8) -> Face:
    rest = {other: (1 - sure) / 2 for other in ("happy", "sad", "neutral") if other != label}
    named = {label: sure} if label != "unknown" else {"neutral": 0.3}
    return Face(int(side), Box(0, 0, side, side), 0.9, label, {**rest, **named})


def report(time: float, *faces: Face) -> Report:
    mood = faces[0].label if faces else None
    return Report(time, round(10 * time), faces, mood, 0.5 if faces else None)


def test_one_face_speaks_for_itself_at_once() -> None:
    household = Household(dwell=1.0)
    for moment, label in enumerate(("happy", "sad", "happy")):
        given = report(moment / 10, face(label))
        assert household.apply(given) is given
    assert household.apply(report(1.0)).mood is None


def test_the_mood_of_most_wins_and_unknown_faces_abstain() -> None:
    faces = (face("sad", 200), face("happy", 50), face("unknown", 300), face("happy", 40))
    assert vote(faces) == "happy"
    assert confidence(faces, "happy") == pytest.approx((0.1 + 0.8 + 0.8) / 3)
    assert vote((face("unknown"), face("unknown"))) == "unknown"


def test_equal_votes_go_to_the_mood_that_holds_and_else_to_the_larger_face() -> None:
    faces = (face("sad", 60), face("happy", 80))
    assert vote(faces) == "happy"
    assert vote(faces, held="sad") == "sad"
    assert vote(faces, held="neutral") == "happy"


def test_a_change_must_be_wanted_for_a_while() -> None:
    household = Household(dwell=1.0)
    happy, sad = face("happy", 50), face("sad", 60)
    told = [household.apply(report(0.0, happy, happy)).mood]
    for moment in range(1, 16):
        told.append(household.apply(report(moment / 10, sad, sad, happy)).mood)
    assert told == ["happy"] * 11 + ["sad"] * 5


def test_a_wish_that_wavers_changes_nothing() -> None:
    household = Household(dwell=0.5)
    happy, sad = face("happy"), face("sad")
    household.apply(report(0.0, happy, happy))
    for moment in range(1, 30):
        pair = (sad, sad) if moment % 3 else (happy, happy)
        assert household.apply(report(moment / 10, *pair)).mood == "happy"


def test_nothing_else_of_the_report_is_touched() -> None:
    given = report(3.0, face("sad", 60), face("happy", 50), face("happy", 40))
    told = Household().apply(given)
    assert (told.mood, told.faces, told.time, told.frame) == ("happy", given.faces, 3.0, 30)


def test_where_nobody_can_be_read_the_largest_face_says_why() -> None:
    dark = msgspec.structs.replace(face("unknown", 60), reason="dark")
    blurred = msgspec.structs.replace(face("unknown", 50), reason="blurred")
    told = Household().apply(report(0.0, dark, blurred))
    assert (told.mood, told.reason) == ("unknown", "dark")
    told = Household().apply(report(0.0, dark, face("happy", 50)))
    assert (told.mood, told.reason) == ("happy", None)
