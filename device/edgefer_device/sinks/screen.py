"""Switch the mirror's screen on while somebody is there, and off after a while."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edgefer.messages import Report
from edgefer_device.pipeline.sink import Sink
from edgefer_device.sinks.command import run_command
from edgefer_device.system.clock import Clock

log = logging.getLogger(__name__)

COMMAND_SECONDS = 5.0
"""For one switch by a command."""
SESSION_SECONDS = 20.0
"""For one answer of the kiosk's session, which runs several."""
RETRY_SECONDS = 30.0
"""Before a failed switch is tried again."""
GREETING_SECONDS = 2.0
"""Between attempts to reach a kiosk's session that is not there yet."""
KIOSK = Path("/run/edgefer-kiosk/screen.sock")
"""Where the kiosk's session answers (firmware-config/common/edgefer-screen)."""
# labwc and wayfire, as on a desktop: `wlr-randr --off` would move the windows.
WLOPM = (("wlopm", "--on", "*"), ("wlopm", "--off", "*"))


class ScreenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[screen]` table."""

    tool: Literal["none", "kiosk", "wlopm", "command"] = "none"
    """What switches the screen: kiosk, the session of `edgefer deploy --kiosk`; wlopm in a
    desktop's own session; a command; none leaves it alone."""
    rotate: Literal[0, 90, 180, 270] = 0
    """With `kiosk`: degrees by which the screen is rotated."""
    off_after: Annotated[float, msgspec.Meta(ge=0.01, le=1440)] = 5.0
    """Minutes without anybody after which it goes off."""
    on: tuple[str, ...] = ()
    """With `command`: the program that switches it on, and its arguments; no shell between."""
    off: tuple[str, ...] = ()
    """With `command`: the program that switches it off, and its arguments."""

    def __post_init__(self) -> None:
        if self.tool == "command" and not (self.on and self.off):
            raise ValueError('tool = "command" wants two commands, on and off')
        if self.tool != "command" and (self.on or self.off):
            raise ValueError('on and off belong to tool = "command"')
        if self.rotate and self.tool != "kiosk":
            raise ValueError('rotate belongs to tool = "kiosk"')


class Commands:
    """A screen that two commands switch."""

    lost = False

    def __init__(self, on: tuple[str, ...], off: tuple[str, ...]) -> None:
        self._on, self._off = on, off

    async def switch(self, on: bool) -> str | None:
        """Switch it; return what went wrong, None if nothing did."""
        return await run_command(self._on if on else self._off, COMMAND_SECONDS)

    def close(self) -> None:
        """Nothing is held."""


class KioskSession:
    """A screen that the kiosk's own session switches: no other process can reach its compositor."""

    def __init__(self, rotate: int, place: Path) -> None:
        self._rotate, self._place = rotate, place
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def lost(self) -> bool:
        """Whether the session ended, or never was: the next one knows nothing of what was asked."""
        return self._streams is None or self._streams[0].at_eof()

    async def switch(self, on: bool) -> str | None:
        """Switch the screen and rotate it; return what went wrong, None if nothing did."""
        try:
            answer = await asyncio.wait_for(self._ask(on), SESSION_SECONDS)
        except (OSError, ValueError, asyncio.TimeoutError):
            self.close()
            advice = "see: systemctl status edgefer-kiosk"
            return f"the kiosk's session does not answer at {self._place}; {advice}"
        return str(answer["error"]) if "error" in answer else None

    async def _ask(self, on: bool) -> dict[str, object]:
        if self.lost or self._streams is None:
            self.close()
            self._streams = await asyncio.open_unix_connection(self._place)
        reader, writer = self._streams
        writer.write(json.dumps({"on": on, "rotate": self._rotate}).encode() + b"\n")
        await writer.drain()
        answer: dict[str, object] = json.loads(await reader.readline())
        return answer

    def close(self) -> None:
        """End the connection; again is allowed."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class ScreenSink(Sink):
    """Switch the screen off when frames have shown nobody for the whole time.

    Without frames, and while paused, somebody may be there, so the screen is on. It is on
    again at the end.
    """

    def __init__(
        self, settings: ScreenSettings, clock: Clock = time.monotonic, kiosk: Path = KIOSK
    ) -> None:
        self._screen: Commands | KioskSession
        if settings.tool == "kiosk":
            self._screen = KioskSession(settings.rotate, kiosk)
        elif settings.tool == "wlopm":
            self._screen = Commands(*WLOPM)
        else:
            self._screen = Commands(settings.on, settings.off)
        self._wait, self._clock = 60 * settings.off_after, clock
        self._empty_since: float | None = None
        self._wanted, self._is_on = True, True
        self._tried, self._failed = -RETRY_SECONDS, False
        self._switching: asyncio.Task[None] | None = None
        self.fault: str | None = None
        """Why the screen could not be switched; None once it could."""

    async def __aexit__(self, *_: object) -> None:
        if self._switching is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._switching
        if not self._is_on:
            await self._switch(True)
        self._screen.close()

    async def publish(self, report: Report) -> None:
        """Start a switch if one is due; never waits for the screen."""
        now = self._clock()
        self._wanted = not self._empty_for_long(report, now)
        busy = self._switching is not None and not self._switching.done()
        pause = GREETING_SECONDS if self.fault is None else RETRY_SECONDS
        refused = self._failed and now - self._tried < pause
        due = self._wanted != self._is_on or self._screen.lost
        if due and not busy and not refused:
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
        why = await self._screen.switch(on)
        self._failed = why is not None
        if why is None:
            self._is_on = on
        elif on and self._screen.lost:
            # Nothing is on the screen of a kiosk that does not run: nothing has to be lit.
            log.debug("screen: %s", why)
            why, self._is_on = None, True
        elif self.fault is None:
            log.warning("screen: %s; trying again every %g s", why, RETRY_SECONDS)
        self.fault = why
