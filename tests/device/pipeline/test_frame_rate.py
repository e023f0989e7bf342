"""How many frames are looked at, and how heat is felt."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from edgefer.messages import Report
from edgefer_device.cameras.camera import Frame
from edgefer_device.pipeline.frame_rate import FrameRate, FrameRateSettings
from edgefer_device.pipeline.runner import Pipeline
from edgefer_device.system.thermal import FLAGS, Heat, read_heat, throttling_flags
from support.scripted import RecordingSink, ScriptedCamera, blank_frames

COOL = Heat(50.0, False)


def looked_at(frame_rate: FrameRate, begin: float, end: float, rate: float = 30.0) -> int:
    """Return how many frames of a camera are due."""
    times = (number / rate for number in range(int(begin * rate), int(end * rate)))
    return sum(frame_rate.due(time) for time in times)


def test_idle_until_a_face_comes_and_again_some_time_after_it() -> None:
    frame_rate = FrameRate(FrameRateSettings(idle=2, active=15, linger=10))
    assert looked_at(frame_rate, 0, 10) == 20
    frame_rate.on_face(10.0, present=True)
    assert looked_at(frame_rate, 10, 20) == pytest.approx(150, abs=2)
    frame_rate.on_face(20.0, present=False)
    assert looked_at(frame_rate, 20, 40) == pytest.approx(40, abs=10)
    assert frame_rate.wanted == 2


def test_a_face_is_looked_at_closely_at_once() -> None:
    frame_rate = FrameRate(FrameRateSettings(idle=1, active=10))
    assert frame_rate.due(0.0)
    assert not frame_rate.due(0.1)
    frame_rate.on_face(0.0, present=True)
    assert frame_rate.due(0.2)  # not only at 1.0


def test_zero_is_every_frame() -> None:
    frame_rate = FrameRate(FrameRateSettings(active=0))
    frame_rate.on_face(0.0, present=True)
    assert looked_at(frame_rate, 0, 2) == 60


@pytest.mark.parametrize("rate", [10.0, 15.0, 24.0, 25.0, 29.97, 60.0])
def test_the_mean_rate_holds_whatever_the_cameras_is(rate: float) -> None:
    frame_rate = FrameRate(FrameRateSettings(active=10))
    frame_rate.on_face(0.0, present=True)
    assert looked_at(frame_rate, 0, 8, rate) == pytest.approx(80, abs=2)


def test_frames_after_a_long_gap_are_not_made_up_for() -> None:
    frame_rate = FrameRate(FrameRateSettings())
    looked_at(frame_rate, 0, 1)
    assert looked_at(frame_rate, 600, 601) == 2


def test_a_hot_machine_is_spared_until_it_is_clearly_cooler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    frame_rate = FrameRate(FrameRateSettings(hot=75, hot_rate=5))
    frame_rate.on_face(0.0, present=True)
    rates = []
    for celsius in (50.0, 76.0, 72.0, 69.0):
        frame_rate.on_temperature(Heat(celsius, False))
        rates.append(frame_rate.rate(0.0))
    assert rates == [15, 5, 5, 15]
    assert [record.message for record in caplog.records] == [
        "the machine is at 76 degrees: at most 5 frames a second",
        "the machine has cooled down: full rate again",
    ]


def test_throttling_spares_it_too_even_without_a_thermometer() -> None:
    frame_rate = FrameRate(FrameRateSettings(active=0))
    frame_rate.on_face(0.0, present=True)
    frame_rate.on_temperature(Heat(None, True))
    assert (frame_rate.hot, frame_rate.rate(0.0)) == (True, 5)
    frame_rate.on_temperature(Heat(None, False))
    assert (frame_rate.hot, frame_rate.rate(0.0)) == (False, 0)


def test_a_live_camera_is_paced_and_a_clip_is_not() -> None:
    def numbers(live: bool) -> list[int]:
        camera, sink = ScriptedCamera(blank_frames(40, rate=20), live=live), RecordingSink()
        rate = FrameRate(FrameRateSettings(idle=2, active=2))
        asyncio.run(Pipeline(camera, Idle(), [sink], frame_rate=rate).run())
        return [report.frame for report in sink.reports]

    assert set(numbers(live=True)) <= {0, 10, 20, 30}
    assert numbers(live=False) == list(range(40))


class Idle:
    """Sees nothing, ever."""

    has_unconfirmed = False

    def process(self, frame: Frame) -> Report:
        return Report(frame.time, frame.number, (), None, None)


def test_an_active_rate_below_the_idle_one_is_refused() -> None:
    with pytest.raises(ValueError, match="active must be at least idle"):
        FrameRateSettings(active=1.0)


# --- heat ----------------------------------------------------------------------


def zone(sysfs: Path, number: int, text: str) -> None:
    folder = sysfs / f"class/thermal/thermal_zone{number}"
    folder.mkdir(parents=True)
    (folder / "temp").write_text(text)


def test_the_hottest_zone_counts_and_broken_sensors_do_not(tmp_path: Path) -> None:
    for number, text in enumerate(["41200\n", "63500\n", "-274000\n", "", "999000\n"]):
        zone(tmp_path, number, text)
    assert read_heat(tmp_path).celsius == 63.5


@pytest.mark.parametrize(("text", "throttled"), [("0", False), ("50000", False), ("50005", True)])
def test_only_the_flags_of_now_count(tmp_path: Path, text: str, throttled: bool) -> None:
    flags = tmp_path / FLAGS
    flags.parent.mkdir(parents=True)
    flags.write_text(text + "\n")
    assert read_heat(tmp_path) == Heat(None, throttled)


def test_vcgencmd_is_asked_where_the_kernel_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "vcgencmd"
    command.write_text("#!/bin/sh\necho throttled=0x50004\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert read_heat(tmp_path).throttled
    command.write_text("#!/bin/sh\necho VCHI initialization failed; exit 255\n")
    assert throttling_flags(tmp_path) is None
    assert not read_heat(tmp_path).throttled
