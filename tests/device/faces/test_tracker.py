"""Tracks are confirmed before they are told, keep their number, and end soon."""

from __future__ import annotations

from edgefer.messages import Box, Detection
from edgefer_device.faces.tracker import Tracker, TrackingSettings

SETTINGS = TrackingSettings(interval=0.2, hits=3, patience=0.5)


def face(left: float = 100, side: float = 80, score: float = 0.9) -> Detection:
    return Detection(Box(left, 100, side, side), score)


def tracker_with(*detections: Detection, settings: TrackingSettings = SETTINGS) -> Tracker:
    """A tracker that has confirmed these faces by time 0."""
    tracker = Tracker(settings)
    for step in range(settings.hits):
        tracker.update(list(detections), (step + 1 - settings.hits) / 10)
    return tracker


def numbers(tracker: Tracker) -> list[int]:
    return [track.number for track in tracker.tracks]


def test_a_face_is_told_after_three_detections() -> None:
    tracker = Tracker(SETTINGS)
    told = []
    for step in range(4):
        tracker.update([face()], step / 10)
        told.append(len(tracker.tracks))
    assert told == [0, 0, 1, 1]


def test_a_face_seen_now_and_then_is_never_told() -> None:
    tracker = Tracker(SETTINGS)
    for step in range(30):
        tracker.update([face()] if step % 3 else [], step / 10)
        assert tracker.tracks == []


def test_a_weak_face_is_never_told() -> None:
    tracker = Tracker(SETTINGS)
    for step in range(30):
        tracker.update([face(score=0.66)], step / 10)
    assert tracker.tracks == []


def test_a_confirmed_face_outlives_a_weak_score() -> None:
    tracker = tracker_with(face())
    for step in range(10):
        tracker.update([face(score=0.5)], step / 10)
    assert numbers(tracker) == [1]


def test_a_moving_face_keeps_its_number() -> None:
    tracker = tracker_with(face())
    for step in range(1, 50):
        tracker.update([face(left=100 + 20 * step)], step / 10)
    assert numbers(tracker) == [1]


def test_faces_that_pass_each_other_keep_their_numbers() -> None:
    tracker = tracker_with(face(100), face(300))
    tracker.update([face(310), face(110)], 0.1)
    lefts = {track.number: track.box.left for track in tracker.tracks}
    assert lefts == {1: 110, 2: 310}


def test_a_face_that_leaves_is_dropped_after_the_patience() -> None:
    tracker = tracker_with(face())
    tracker.update([], 0.4)
    assert numbers(tracker) == [1]
    assert tracker.tracks[0].missed
    tracker.update([], 0.5)
    assert tracker.tracks == []


def test_a_face_that_returns_in_time_keeps_its_number() -> None:
    tracker = tracker_with(face())
    tracker.update([], 0.2)
    tracker.update([face()], 0.4)
    assert numbers(tracker) == [1]
    assert not tracker.tracks[0].missed


def test_a_number_is_not_given_twice() -> None:
    tracker = tracker_with(face())
    tracker.update([], 1.0)
    for step in range(3):
        tracker.update([face()], 2 + step / 10)
    assert numbers(tracker) == [2]


def test_the_largest_face_comes_first() -> None:
    assert numbers(tracker_with(face(100, 50), face(300, 90))) == [2, 1]


def test_small_faces_are_not_followed() -> None:
    assert tracker_with(face(side=19)).tracks == []


def test_a_quiet_scene_is_searched_at_the_interval() -> None:
    tracker = Tracker(SETTINGS)
    assert tracker.wants_detection(0.0)
    tracker.update([], 0.0)
    assert not tracker.wants_detection(0.1)
    assert tracker.wants_detection(0.2)


def test_a_stable_face_is_searched_at_the_interval() -> None:
    tracker = tracker_with(face())
    assert not tracker.wants_detection(0.1)
    assert tracker.wants_detection(0.2)


def test_a_new_or_missed_face_is_searched_at_once() -> None:
    tracker = Tracker(SETTINGS)
    tracker.update([face()], 0.0)
    assert tracker.wants_detection(0.03)
    tracker = tracker_with(face())
    tracker.update([], 0.2)
    assert tracker.wants_detection(0.23)


def test_a_still_scene_with_a_sure_face_is_searched_seldom() -> None:
    tracker = tracker_with(face())
    assert not tracker.wants_detection(0.4, moved=False)
    assert tracker.wants_detection(0.5, moved=False)
    assert tracker.wants_detection(0.2, moved=True)


def test_a_face_that_is_unsure_is_searched_as_often_as_one_that_moves() -> None:
    tracker = tracker_with(face())
    tracker.update([face(score=0.55)], 0.1)
    assert not tracker.wants_detection(0.25, moved=False)
    assert tracker.wants_detection(0.31, moved=False)


def hung(tracker: Tracker, *others: Detection, begin: int, seconds: int) -> None:
    """Show a picture that hangs there, found a little elsewhere each time, once a second."""
    for second in range(begin, begin + seconds):
        tracker.update([face(left=100 + second % 3, score=0.95), *others], float(second))


def test_what_never_moves_is_a_picture_and_nobody() -> None:
    settings = TrackingSettings(ignore_still=600, patience=5)
    tracker = Tracker(settings)
    hung(tracker, begin=0, seconds=600)
    assert (numbers(tracker), tracker.still) == ([1], [])
    somebody = face(left=400)
    hung(tracker, somebody, begin=600, seconds=5)
    assert (numbers(tracker), [track.number for track in tracker.still]) == ([2], [1])
    # Somebody stands before it for a while: it is known again at once.
    for second in range(605, 620):
        tracker.update([somebody], float(second))
    hung(tracker, somebody, begin=620, seconds=4)
    assert (numbers(tracker), [track.number for track in tracker.still]) == ([2], [3])
    never = Tracker(TrackingSettings(ignore_still=0))
    hung(never, begin=0, seconds=1200)
    assert numbers(never) == [1]


def test_who_moves_a_little_now_and_then_stays_somebody() -> None:
    tracker = Tracker(TrackingSettings(ignore_still=600, patience=5))
    for second in range(1500):
        tracker.update([face(left=100 + 15 * (second // 500))], float(second))
    assert (numbers(tracker), tracker.still) == ([1], [])
