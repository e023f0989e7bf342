"""MQTT device discovery: the retained message that describes this device to Home Assistant.

As Home Assistant 2026.2.3 took it (`tests/rig/rig_homeassistant.py`): `origin` is required; names
come from `default_entity_id`; an enum sensor has `options` and no `state_class`, and refuses any
other value; its own word for no value is "unknown", so our `unknown` is published
as `uncertain`, and no face as `nobody`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgefer import __version__
from edgefer.labels import EVERY_LABEL, NOBODY, UNCERTAIN, UNKNOWN
from edgefer.manifest import Manifest
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.pipeline.control_state import THRESHOLDS
from edgefer_device.sinks.mqtt.broker import Broker

STEP = 0.05
"""Of the threshold."""

Component = dict[str, Any]
DIAGNOSTIC = {"entity_category": "diagnostic"}


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What does not change while the daemon runs."""

    labels: tuple[str, ...] = EVERY_LABEL
    model: str = ""
    """Name of the bundle and the beginning of its model's hash."""
    threshold: float = MoodSettings().threshold
    """As configured, 0..1."""

    @classmethod
    def of(cls, manifest: Manifest, threshold: float) -> DeviceInfo:
        """Return the info of a model and the configured threshold."""
        digest = manifest.files["int8"].sha256[:8] if "int8" in manifest.files else ""
        return cls(manifest.labels, f"{manifest.name} {digest}".strip(), threshold)


def topic(discovery: str, broker: Broker) -> str:
    """Return the topic of the message; an empty one there removes the device."""
    return f"{discovery}/device/{device_id(broker)}/config"


def device_id(broker: Broker) -> str:
    """Return the device's identifier, which its topic makes unique on the broker.

    Where letters of the topic are lost in it, so that another would have the same, it ends in a
    hash of the topic.
    """
    slug = _slug(broker.prefix)
    if slug.replace("_", "/") == broker.prefix:
        return f"edgefer_{slug}"
    return f"edgefer_{slug}_{hashlib.sha256(broker.prefix.encode()).hexdigest()[:8]}"


def message(broker: Broker, name: str, device: DeviceInfo, commands: bool) -> dict[str, Any]:
    """Return the message, for JSON; without `commands` it has no controls."""
    name = name or broker.prefix.rpartition("/")[2].replace("_", " ").capitalize()
    components = {**_mood(broker, device.labels), **_diagnostics(broker)}
    if commands:
        components.update(_controls(broker))
    for key, component in components.items():
        component["unique_id"] = f"{device_id(broker)}_{key}"
        component["default_entity_id"] = f"{component['platform']}.{_slug(name)}_{key}"
    return {
        "device": {
            "identifiers": [device_id(broker)],
            "name": name,
            "manufacturer": "edgefer",
            "model": device.model,
            "sw_version": __version__,
        },
        "origin": {"name": "edgefer", "sw_version": __version__},
        "availability": [{"topic": broker.topic("availability")}],
        "qos": broker.qos,
        "components": components,
    }


def _mood(broker: Broker, labels: Sequence[str]) -> dict[str, Component]:
    """Return what the state shows while the camera sees something, and its problem."""
    state = broker.topic("state")
    options = [*labels, UNCERTAIN, NOBODY]
    value = "value_json.mood"
    mood = (
        f"'{NOBODY}' if {value} is none else '{UNCERTAIN}' if {value} == '{UNKNOWN}' else {value}"
    )
    sure = "none if value_json.confidence is none else (100 * value_json.confidence) | round"
    seen = {
        "mood": _sensor("Mood", state, mood, icon="mdi:emoticon-outline")
        | {"device_class": "enum", "options": options}
        | _attribute(state, "reason"),
        "confidence": _sensor("Confidence", state, sure, "%", icon="mdi:gauge")
        | {"suggested_display_precision": 0},
        "presence": _binary_sensor("Presence", state, "value_json.faces > 0", "occupancy"),
        "faces": _sensor("Faces", state, "value_json.faces", icon="mdi:account")
        | {"state_class": "measurement"},
    }
    # Unavailable also while paused or without frames: that is not the same as nobody there.
    blind = "value_json.paused or value_json.problem is not none"
    sight = {"topic": state, "value_template": f"{{{{ 'offline' if {blind} else 'online' }}}}"}
    online = {"topic": broker.topic("availability")}
    for component in seen.values():
        component |= {"availability": [online, sight], "availability_mode": "all"}
    problem = _binary_sensor("Problem", state, "value_json.problem is not none", "problem")
    return {**seen, "problem": problem | DIAGNOSTIC | _attribute(state, "problem")}


def _diagnostics(broker: Broker) -> dict[str, Component]:
    """Return the daemon's own measurements."""
    place = broker.topic("diagnostics")
    sensors = {
        "frame_rate": _sensor(
            "Frame rate", place, "value_json.frame_rate", "fps", icon="mdi:filmstrip"
        ),
        "inference": _sensor(
            "Inference", place, "value_json.inference_ms", "ms", "duration", icon="mdi:timer"
        ),
        "temperature": _sensor("Temperature", place, "value_json.temperature", "°C", "temperature"),
        "model_version": _sensor("Model version", place, "value_json.model", icon="mdi:brain"),
    }
    return {key: sensor | DIAGNOSTIC for key, sensor in sensors.items()}


def _controls(broker: Broker) -> dict[str, Component]:
    """Return what can be commanded."""
    least, greatest = THRESHOLDS
    return {
        "privacy": {
            "platform": "switch",
            "name": "Privacy",
            "icon": "mdi:eye-off",
            "state_topic": broker.topic("privacy"),
            "command_topic": broker.topic("privacy/set"),
        },
        "threshold": {
            "platform": "number",
            "name": "Threshold",
            "icon": "mdi:tune",
            "state_topic": broker.topic("threshold"),
            "command_topic": broker.topic("threshold/set"),
            "min": least,
            "max": greatest,
            "step": STEP,
            "mode": "slider",
            "entity_category": "config",
        },
        "week": {
            "platform": "button",
            "name": "Show the week",
            "icon": "mdi:calendar-week",
            "command_topic": broker.topic("week/set"),
            "payload_press": "PRESS",
        },
        "restart": {
            "platform": "button",
            "name": "Restart",
            "device_class": "restart",
            "command_topic": broker.topic("restart/set"),
            "payload_press": "PRESS",
            "entity_category": "config",
        },
    }


def _sensor(
    name: str,
    place: str,
    value: str,
    unit: str | None = None,
    device_class: str | None = None,
    icon: str | None = None,
) -> Component:
    sensor: Component = {
        "platform": "sensor",
        "name": name,
        "icon": icon,
        "device_class": device_class,
        "state_topic": place,
        "value_template": f"{{{{ {value} }}}}",
        "unit_of_measurement": unit,
        "state_class": unit and "measurement",
    }
    return {key: field for key, field in sensor.items() if field is not None}


def _binary_sensor(name: str, place: str, condition: str, device_class: str) -> Component:
    return {
        "platform": "binary_sensor",
        "name": name,
        "device_class": device_class,
        "state_topic": place,
        "value_template": f"{{{{ 'ON' if {condition} else 'OFF' }}}}",
    }


def _attribute(place: str, key: str) -> Component:
    template = f"{{{{ {{'{key}': value_json.{key}}} | tojson }}}}"
    return {"json_attributes_topic": place, "json_attributes_template": template}


def _slug(text: str) -> str:
    """Return a text in the letters that Home Assistant's identifiers may hold."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "mirror"
