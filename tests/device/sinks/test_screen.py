"""The screen: off when nobody is there for long, and never before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgefer.messages import Report
from edgefer_device.sinks.opening import SinkContext, open_sinks
from edgefer_device.sinks.screen import RETRY_SECONDS, ScreenSettings, ScreenSink

NOBODY = Report(0.0, 0, (), None, None)
SOMEBODY = Report(0.0, 0, (), "happy", 0.9)
NO_PICTURE = Report(0.0, 0, (), None, None, problem="paused")


class Room:
    """A screen whose commands write down what they did, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self._log = folder / "log"
        self.program = folder / "screen"
        self.program.write_text(f'#!/bin/sh\necho "$1" >> {self._log}\n')
        self.program.chmod(0o755)
        name = str(self.program)
        settings = ScreenSettings(tool="command", off_after=1, on=(name, "on"), off=(name, "off"))
        self.sink = ScreenSink(settings, clock=lambda: self.now)

    @property
    def switched(self) -> list[str]:
        return self._log.read_text().split() if self._log.exists() else []

    async def see(self, report: Report, seconds: float) -> None:
        """Let a report stand for some seconds."""
        for _ in range(int(seconds)):
            await self.sink.publish(report)
            self.now += 1
        await self.settled()

    async def settled(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "screen"]
        if tasks:
            await asyncio.wait(tasks)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 20))


def test_it_goes_off_without_anybody_and_on_for_the_first_face(room: Room) -> None:
    async def story() -> None:
        async with room.sink:
            await room.see(NOBODY, 59)
            assert room.switched == []
            await room.see(NOBODY, 3)
            assert room.switched == ["off"]
            await room.see(NOBODY, 300)
            assert room.switched == ["off"]
            await room.see(SOMEBODY, 1)
            assert room.switched == ["off", "on"]

    run(story)


def test_it_never_goes_off_while_somebody_may_be_there(room: Room) -> None:
    async def story() -> None:
        async with room.sink:
            for _ in range(20):
                await room.see(NOBODY, 50)
                await room.see(SOMEBODY, 1)
                await room.see(NOBODY, 50)
                await room.see(NO_PICTURE, 1)
            await room.see(NO_PICTURE, 600)
            assert room.switched == []

    run(story)


def test_a_lost_camera_and_a_pause_switch_it_on(room: Room) -> None:
    async def story() -> None:
        async with room.sink:
            await room.see(NOBODY, 70)
            await room.see(NO_PICTURE, 1)
            assert room.switched == ["off", "on"]

    run(story)


def test_it_is_on_at_the_end(room: Room) -> None:
    async def story() -> None:
        async with room.sink:
            await room.see(NOBODY, 70)
        assert room.switched == ["off", "on"]

    run(story)


def test_a_command_that_fails_is_said_and_tried_again_later(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with room.sink:
            good = room.program.read_text()
            room.program.write_text("#!/bin/sh\nexit 3\n")
            await room.see(NOBODY, 70)
            assert room.sink.fault == f"{room.program} ended with status 3"
            room.program.write_text(good)
            await room.see(NOBODY, RETRY_SECONDS + 2)
            assert room.switched == ["off"]

    run(story)
    assert len(caplog.records) == 1


def test_a_program_that_is_not_there_ends_nothing(tmp_path: Path) -> None:
    settings = ScreenSettings(tool="wlopm", off_after=1)
    now = [0.0]
    sink = ScreenSink(settings, clock=lambda: now[0])

    async def story() -> None:
        async with sink:
            await sink.publish(NOBODY)
            now[0] = 100.0
            await sink.publish(NOBODY)
        assert sink.fault == "wlopm cannot be started: No such file or directory"

    run(story)


@pytest.mark.parametrize(
    "wrong", [{"tool": "command"}, {"on": ("a",), "off": ("b",)}, {"off_after": 0.0}]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, ScreenSettings)


def test_it_is_there_only_where_it_is_configured() -> None:
    def kinds(settings: ScreenSettings) -> int:
        return len(open_sinks((), SinkContext(screen=settings)).sinks)

    assert kinds(ScreenSettings(tool="wlopm")) == kinds(ScreenSettings()) + 1
