"""Switch the mirror's screen on while somebody is there, and off after a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Annotated, Literal

import msgspec

from edgefer.messages import Report
from edgefer_device.pipeline.sink import Sink
from edgefer_device.sinks.command import run_command
from edgefer_device.system.clock import Clock

log = logging.getLogger(__name__)

COMMAND_SECONDS = 5.0
"""For one switch."""
RETRY_SECONDS = 30.0
"""Before a failed switch is tried again."""
TOOLS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # labwc and wayfire, as on Raspberry Pi OS: `wlr-randr --off` would move the windows.
    "wlopm": (("wlopm", "--on", "*"), ("wlopm", "--off", "*")),
    "vcgencmd": (("vcgencmd", "display_power", "1"), ("vcgencmd", "display_power", "0")),
}
"""By tool: commands that switch the screen on, and off."""


class ScreenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[screen]` table."""

    tool: Literal["none", "wlopm", "vcgencmd", "command"] = "none"
    """Program that switches the screen; none leaves it alone."""
    off_after: Annotated[float, msgspec.Meta(ge=0.01, le=1440)] = 5.0
    """Minutes without anybody after which it goes off."""
    on: tuple[str, ...] = ()
    """With `command`: the program that switches it on, and its arguments; no shell between."""
    off: tuple[str, ...] = ()
    """With `command`: the program that switches it off, and its arguments."""

    def __post_init__(self) -> None:
        if (self.tool == "command") != bool(self.on and self.off):
            raise ValueError('on and off are two commands that belong to tool = "command"')

    @property
    def commands(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Commands that switch it on, and off."""
        return TOOLS.get(self.tool, (self.on, self.off))


class ScreenSink(Sink):
    """Switch the screen off when frames have shown nobody for the whole time.

    Without frames, and while paused, somebody may be there, so the screen is on. It is on
    again at the end.
    """

    def __init__(self, settings: ScreenSettings, clock: Clock = time.monotonic) -> None:
        self._commands = settings.commands
        self._wait, self._clock = 60 * settings.off_after, clock
        self._empty_since: float | None = None
        self._wanted, self._is_on = True, True
        self._tried = -RETRY_SECONDS
        self._switching: asyncio.Task[None] | None = None
        self.fault: str | None = None
        """Why the screen could not be switched; None once it could."""

    async def __aexit__(self, *_: object) -> None:
        if self._switching is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._switching
        if not self._is_on:
            await self._switch(True)

    async def publish(self, report: Report) -> None:
        """Start a switch if one is due; never waits for the screen."""
        now = self._clock()
        self._wanted = not self._empty_for_long(report, now)
        busy = self._switching is not None and not self._switching.done()
        refused = self.fault is not None and now - self._tried < RETRY_SECONDS
        if self._wanted != self._is_on and not busy and not refused:
            self._tried = now
            self._switching = asyncio.create_task(self._switch(self._wanted), name="screen")

    def _empty_for_long(self, report: Report, now: float) -> bool:
        if report.problem is not None or report.mood is not None or report.faces:
            self._empty_since = None
            return False
        if self._empty_since is None:
            self._empty_since = now
        return now - self._empty_since >= self._wait

    async def _switch(self, on: bool) -> None:
        command = self._commands[0 if on else 1]
        before, self.fault = self.fault, await run_command(command, COMMAND_SECONDS)
        if self.fault is None:
            self._is_on = on
        elif before is None:
            log.warning("screen: %s; trying again every %g s", self.fault, RETRY_SECONDS)
