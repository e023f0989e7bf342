"""An enrollment, report by report: when a look counts, when not, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edgefer.errors import EnrollmentError, SettingsError
from edgefer.labels import FER2013
from edgefer_device.sinks.enrollment import EnrollmentRequest
from support.enrollment import WANTED, Story


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    yield Story(tmp_path)


def test_each_look_is_asked_for_held_and_followed_by_the_next(story: Story) -> None:
    state = story.enrollment.begin(WANTED)
    assert (state.look, state.number, state.count, state.share) == ("neutral", 1, 2, 0)
    story.see(2.5, "sad")
    assert story.enrollment.state.share == 0  # getting ready
    story.see(1.6, "sad")
    assert 0 < story.enrollment.state.share < 1
    story.see(2, "sad")
    assert (story.enrollment.state.look, story.enrollment.state.number) == ("happy", 2)
    story.see(6, "happy")
    assert (story.enrollment.state.look, story.outcome) == (None, "stored")
    own = story.store.read()
    assert own is not None
    assert own.scaling == story.classifier.decoder.own
    assert own.scaling.biases[FER2013.index("neutral")] > 0 > own.scaling.biases[4]
    assert story.enrollment.calibration == own.summary


def test_seconds_without_one_readable_face_do_not_count(story: Story) -> None:
    story.enrollment.begin(WANTED)
    story.see(3.5, "sad")
    for looks, problem in [((), "nobody"), (("sad", "sad"), "several"), (("dark",), "dark")]:
        share = story.enrollment.state.share
        story.see(4, *looks)
        assert (story.enrollment.state.problem, story.enrollment.state.share) == (problem, share)
        story.see(0.2, "sad")
        assert story.enrollment.state.problem is None


@pytest.mark.parametrize(
    ("looks", "problem", "outcome"),
    [
        ((), None, "nobody"),
        (("sad", "sad"), None, "several"),
        (("blurred",), None, "blurred"),
        ((), "the camera has given no frame for 3 s", "camera"),
        ((), "paused", "paused"),
    ],
)
def test_what_lasts_ends_it_and_leaves_everything_as_it_was(
    story: Story, looks: tuple[str, ...], problem: str | None, outcome: str
) -> None:
    story.enroll()
    before = story.store.read()
    story.enrollment.begin(WANTED)
    assert story.classifier.decoder.own is None  # the model itself is enrolled, not a correction
    story.see(4, "sad")
    story.see(16, *looks, problem=problem)
    assert story.outcome == outcome
    assert story.store.read() == before == story.enrollment.own
    assert story.classifier.decoder.own is not None


def test_what_would_not_help_is_not_stored(story: Story) -> None:
    story.enrollment.begin(EnrollmentRequest(("sad", "happy"), 2.0))
    story.see(6, "sad!")
    story.see(6, "happy!")
    assert story.outcome == "no_gain"
    assert story.store.read() is None
    assert story.classifier.decoder.own is None


def test_a_stop_a_removal_and_a_second_one_at_once(story: Story) -> None:
    story.enroll()
    assert story.enrollment.remove()
    assert (story.enrollment.calibration, story.classifier.decoder.own) == (None, None)
    assert not story.enrollment.remove()
    story.enrollment.begin(WANTED)
    with pytest.raises(EnrollmentError, match="runs already"):
        story.enrollment.begin(WANTED)
    story.enrollment.stop()
    assert story.outcome == "stopped"
    story.see(9, "sad")
    assert story.outcome == "stopped"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    story = Story(tmp_path / "file" / "state")
    story.enroll()
    assert story.outcome == "failed"
    assert "cannot be written" in story.enrollment.state.note


def test_another_models_is_logged_once_and_not_applied(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    story = Story(tmp_path)
    story.enroll()
    text = story.store.path.read_bytes().replace(b'"test"', b'"other"')
    story.store.path.write_bytes(text)
    after = Story(tmp_path)
    (line,) = caplog.messages
    assert "made for another model" in line
    assert (after.classifier.decoder.own, after.enrollment.calibration) == (None, line)


@pytest.mark.parametrize(
    "looks", [("hapy", "sad"), ("happy",), ("sad", "sad"), ("sad", "happy") * 11]
)
def test_a_wrong_label_or_too_few_or_many_is_refused(story: Story, looks: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match=r"did you mean 'happy'|two labels or more, at most 20"):
        story.enrollment.begin(EnrollmentRequest(looks))
    assert story.enrollment.state.look is None


def test_a_model_of_ones_own_labels_is_asked_for_these(tmp_path: Path) -> None:
    from edgefer_device.sinks.enrollment import usual_looks

    assert usual_looks((), FER2013) == ("neutral", "happy", "sad", "surprise", "angry")
    assert usual_looks((), ("awake", "asleep")) == ("awake", "asleep")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"seconds": 0}, EnrollmentRequest)
