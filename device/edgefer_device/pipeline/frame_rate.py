"""The rate of analysis: few frames a second until a face comes, fewer on a hot machine."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Annotated

import msgspec
from msgspec import Meta

from edgefer_device.system.thermal import Heat, HeatReader, read_heat

log = logging.getLogger(__name__)

HEAT_SECONDS = 10.0
"""Between two readings of the temperature."""
COOLER = 5.0
"""Degrees below the limit at which the machine counts as cool again."""
EARLY_SECONDS = 0.01
"""By how much a frame may come early: cameras are not exact."""


class FrameRateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[frame_rate]` table."""

    idle: Annotated[float, Meta(ge=1, le=1000)] = 2.0
    """Frames a second while nobody is in view."""
    active: Annotated[float, Meta(ge=0, le=1000)] = 15.0
    """Frames a second while a face is in view; 0 is every frame that the camera gives."""
    linger: Annotated[float, Meta(ge=0, le=86400)] = 10.0
    """Seconds after the last face for which it stays active."""
    hot: Annotated[float, Meta(ge=0, le=150)] = 75.0
    """Degrees Celsius from which it backs off; a Raspberry Pi throttles itself at 80 to 85."""
    hot_rate: Annotated[float, Meta(ge=1, le=1000)] = 5.0
    """Frames a second, at most, on a machine that is hot or throttled."""

    def __post_init__(self) -> None:
        if self.active != 0 and self.active < self.idle:
            raise ValueError("active must be at least idle, or 0 for every frame")


class FrameRate:
    """Chooses the frames that are due; times are theirs, seconds on the camera's clock."""

    def __init__(self, settings: FrameRateSettings) -> None:
        self._settings = settings
        self._due = -math.inf
        self._seen: float | None = None
        self.wanted = settings.idle
        """Frames a second that were wanted last; 0 is all of them."""
        self.heat: Heat | None = None
        """The last reading of the temperature."""
        self.hot = False
        """Whether it backs off."""

    def on_face(self, time: float, present: bool) -> None:
        """Record whether the frame of a time showed a face, or a hint of one."""
        if present:
            self._seen = time

    def on_temperature(self, heat: Heat) -> None:
        """Record a reading; lower the rate on a hot machine, raise it again on a cooler one."""
        self.heat = heat
        limit = self._settings.hot - (COOLER if self.hot else 0)
        hot = heat.throttled or (heat.celsius is not None and heat.celsius >= limit)
        if hot != self.hot:
            self.hot = hot
            if hot:
                how = "throttled" if heat.throttled else f"at {heat.celsius:.0f} degrees"
                most = self._settings.hot_rate
                log.warning("the machine is %s: at most %g frames a second", how, most)
            else:
                log.info("the machine has cooled down: full rate again")

    def rate(self, time: float) -> float:
        """Return the frames a second that are wanted at a time; 0 is all of them."""
        seen, settings = self._seen, self._settings
        active = seen is not None and time - seen <= settings.linger
        rate = settings.active if active else settings.idle
        if not self.hot:
            return rate
        return min(rate, settings.hot_rate) if rate else settings.hot_rate

    def due(self, time: float) -> bool:
        """Whether to analyse the frame of a time; frames come in order."""
        rate = self.wanted = self.rate(time)
        if not rate:
            return True
        step, ahead = 1 / rate, self._due - time
        # Farther ahead than a step: the rate has risen since, and the wait is over.
        if EARLY_SECONDS <= ahead <= step:
            return False
        on_time = -step < ahead < EARLY_SECONDS
        # From when it was due: counted from when it came, every wait would add up.
        self._due = (self._due if on_time else time) + step
        return True


async def watch_temperature(frame_rate: FrameRate, read: HeatReader = read_heat) -> None:
    """Read the temperature for ever."""
    while True:
        frame_rate.on_temperature(await asyncio.to_thread(read))
        await asyncio.sleep(HEAT_SECONDS)
