"""The daemon's own measurements on the broker, and a second daemon noticed by its own."""

from __future__ import annotations

import asyncio
import logging
import secrets

import msgspec

from edgefer import __version__
from edgefer.messages import NOT_JSON
from edgefer_device.pipeline.health import Health
from edgefer_device.system.clock import Clock
from edgefer_device.system.thermal import read_heat

log = logging.getLogger(__name__)


class Diagnostics(msgspec.Struct, frozen=True):
    """Payload of `TOPIC/diagnostics`."""

    frame_rate: float
    """Reports a second since the last diagnostics."""
    inference_ms: float | None
    """Milliseconds from a frame to its report, the last seconds' mean; None before the first."""
    temperature: float | None
    """Of the processor, degrees Celsius; None where that is unknown."""
    model: str
    """Name of the model bundle, and the beginning of its hash."""
    version: str
    """Of edgefer."""
    instance: str
    """Random, of one start of the daemon: two on one topic know each other by it."""


class Measurements:
    """Count reports between two diagnostics."""

    def __init__(self, model: str, health: Health, clock: Clock) -> None:
        self._model, self._health, self._clock = model, health, clock
        self.start()

    def start(self) -> None:
        """Begin to count."""
        self._reports, self._since = 0, self._clock()

    def count(self) -> None:
        """Count one report."""
        self._reports += 1

    async def diagnostics(self, instance: str) -> Diagnostics:
        """Return what was measured, and begin anew."""
        # On some boards it runs a program.
        heat = await asyncio.to_thread(read_heat)
        passed = self._clock() - self._since
        rate = round(self._reports / passed, 1) if passed > 0 else 0.0
        self.start()
        inference_ms = self._health.inference_ms
        return Diagnostics(rate, inference_ms, heat.celsius, self._model, __version__, instance)


class Rival:
    """Tell another daemon's diagnostics from our own, by the `instance` in them.

    Before our own were heard, what stands on the broker is from the daemon before us. With the
    same client identifier (two daemons of one machine) the broker lets in only one at a time, and
    each finds the other's diagnostics when it comes back.
    """

    def __init__(self, prefix: str) -> None:
        self.instance = secrets.token_hex(4)
        self._prefix = prefix
        self._heard_own = self._warned = False

    def hear(self, payload: bytes) -> None:
        """Take a message of the diagnostics' topic; log once for another daemon's."""
        try:
            instance = msgspec.json.decode(payload, type=_Signed).instance
        except NOT_JSON:
            return
        if instance == self.instance:
            self._heard_own = True
        elif self._heard_own and not self._warned:
            self._warned = True
            log.warning(
                "mqtt: another daemon publishes on '%s' too; give each a topic of its own",
                self._prefix,
            )


class _Signed(msgspec.Struct):
    instance: str = ""
    """"": of a version that had none."""
