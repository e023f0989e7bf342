"""Commands from the broker: privacy, another threshold, the week on the mirror, a restart."""

from __future__ import annotations

import logging

from edgefer_device.pipeline.control_state import Controls
from edgefer_device.sinks.mqtt.broker import Broker
from edgefer_device.system.rate_limit import RateLimit

log = logging.getLogger(__name__)

PRIVACY, THRESHOLD, WEEK, RESTART = "privacy", "threshold", "week", "restart"
ON, OFF, PRESS = "ON", "OFF", "PRESS"
COMMANDS_A_SECOND = 10
"""That are obeyed; each may write a file and move the camera."""
LONGEST = 40
"""Characters of an unknown message that a warning shows."""


class Commands:
    """Pass commands on a broker's topics to the controls; log a warning for unknown ones."""

    def __init__(self, broker: Broker, controls: Controls) -> None:
        self._controls = controls
        names = (PRIVACY, THRESHOLD, WEEK, RESTART)
        self._limit = RateLimit(COMMANDS_A_SECOND, 1.0)
        self._names = {broker.topic(f"{name}/set"): name for name in names}

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics to subscribe to."""
        return tuple(self._names)

    def handle(self, topic: str, payload: bytes, retained: bool) -> bool:
        """Carry out a message; return whether its topic is a command's.

        A retained one is refused: it was meant for another time, and a restart would
        receive it again.
        """
        name = self._names.get(topic)
        if name is None:
            return False
        text = payload.decode(errors="replace").strip()
        if retained:
            log.warning("mqtt: retained '%s' is not obeyed; send it without retain", topic)
        elif not self._limit.allows():
            log.warning("mqtt: more than %d commands a second are not obeyed", COMMANDS_A_SECOND)
        elif not self._execute(name, text):
            log.warning("mqtt: %s: cannot be '%s'", topic, text[:LONGEST])
        return True

    def _execute(self, name: str, text: str) -> bool:
        """Carry out a command; False when its text is none of those known."""
        if name == THRESHOLD:
            try:
                self._controls.set_threshold(float(text))
            except ValueError:
                return False
            return True
        action = {
            (PRIVACY, ON): self._controls.pause,
            (PRIVACY, OFF): self._controls.resume,
            (WEEK, PRESS): self._controls.show_week,
            (RESTART, PRESS): self._controls.request_restart,
        }.get((name, text))
        if action is not None:
            action()
        return action is not None
