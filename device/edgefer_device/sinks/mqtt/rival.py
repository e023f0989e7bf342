"""Notice a second daemon that publishes on our topic."""

from __future__ import annotations

import logging
import secrets

import msgspec

log = logging.getLogger(__name__)


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
        except msgspec.DecodeError:
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
