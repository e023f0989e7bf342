"""What the broker may ask for: privacy, another threshold, a restart."""

from __future__ import annotations

import logging

from edgefer_device.pipeline.control_state import Controls
from edgefer_device.sinks.mqtt.broker import Broker

log = logging.getLogger(__name__)

PRIVACY, THRESHOLD, RESTART = "privacy", "threshold", "restart"
ON, OFF, PRESS = "ON", "OFF", "PRESS"
LONGEST = 40
"""Characters of a strange message that a warning shows."""


class Commands:
    """Hands what is asked on a broker's topics to the controls; what is strange is warned of."""

    def __init__(self, broker: Broker, controls: Controls) -> None:
        self._controls = controls
        names = (PRIVACY, THRESHOLD, RESTART)
        self._names = {broker.command_topic(name): name for name in names}

    @property
    def topics(self) -> tuple[str, ...]:
        """Where commands come."""
        return tuple(self._names)

    def obey(self, topic: str, payload: bytes, retained: bool) -> str | None:
        """Do what a message asks; return the control that it spoke of, None for no command.

        A retained one is not obeyed: it was meant for another time, and a restart would
        find it again.
        """
        name = self._names.get(topic)
        if name is None:
            return None
        text = payload.decode(errors="replace").strip()
        if retained:
            log.warning("mqtt: retained '%s' is not obeyed; send it without retain", topic)
        elif not self._do(name, text):
            log.warning("mqtt: %s: cannot be '%s'", topic, text[:LONGEST])
        return name

    def _do(self, name: str, text: str) -> bool:
        """Do it; False when the text is none of those that are known."""
        if name == PRIVACY and text in (ON, OFF):
            if text == ON:
                self._controls.pause()
            else:
                self._controls.resume()
            return True
        if name == RESTART and text == PRESS:
            self._controls.request_restart()
            return True
        if name != THRESHOLD:
            return False
        try:
            self._controls.set_threshold(float(text))
        except ValueError:
            return False
        return True
