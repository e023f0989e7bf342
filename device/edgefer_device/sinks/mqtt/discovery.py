"""What Home Assistant is told of this device: one retained message of MQTT device discovery.

As Home Assistant 2026.2.3 took it (`tests/rig/rig_homeassistant.py`): `origin` is required; names
come from `default_entity_id`; an enum sensor has `options` and no `state_class`, and refuses any
other value; its own word for nothing known is "unknown", so our `unknown` is told as
`uncertain` and nobody before the mirror as `nobody`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgefer import __version__
from edgefer.labels import LABEL_SETS, UNKNOWN
from edgefer.manifest import Manifest
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.pipeline.control_state import THRESHOLDS
from edgefer_device.sinks.mqtt.broker import Broker

UNCERTAIN, NOBODY = "uncertain", "nobody"
"""What the mood is called there when it is `unknown`, and when there is no face."""
STEP = 0.05
"""Of the threshold."""

Component = dict[str, Any]


EVERY_LABEL = tuple(dict.fromkeys(label for labels in LABEL_SETS.values() for label in labels))
"""Of every label set that a model of ours may have."""


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
        """Return what a model's manifest and the configured threshold say."""
        digest = manifest.files["int8"].sha256[:8] if "int8" in manifest.files else ""
        return cls(manifest.labels, f"{manifest.name} {digest}".strip(), threshold)


def topic(discovery: str, broker: Broker) -> str:
    """Return where the message stands; an empty one there removes the device."""
    return f"{discovery}/device/{device_id(broker)}/config"


def device_id(broker: Broker) -> str:
    """Return what tells this device from others of the broker: its topic."""
    return f"edgefer_{_slug(broker.prefix)}"


def message(broker: Broker, name: str, device: DeviceInfo, commands: bool) -> dict[str, Any]:
    """Return the message, for JSON; without `commands` only what can be read."""
    name = name or broker.prefix.rpartition("/")[2].replace("_", " ").capitalize()
    components = {**_seen(broker, device), **_diagnostic(broker)}
    if commands:
        components.update(_controls(broker))
    for key, component in components.items():
        platform = component["platform"]
        component["unique_id"] = f"{device_id(broker)}_{key}"
        component["default_entity_id"] = f"{platform}.{_slug(name)}_{key}"
    return {
        "device": {
            "identifiers": [device_id(broker)],
            "name": name,
            "manufacturer": "edgefer",
            "model": device.model,
            "sw_version": __version__,
        },
        "origin": {"name": "edgefer", "sw_version": __version__},
        "availability": [_online(broker)],
        "qos": broker.qos,
        "components": components,
    }


def _seen(broker: Broker, device: DeviceInfo) -> dict[str, Component]:
    """What stands in the state, while something can be seen."""
    mood = (
        f"{{{{ '{NOBODY}' if value_json.mood is none else "
        f"'{UNCERTAIN}' if value_json.mood == '{UNKNOWN}' else value_json.mood }}}}"
    )
    sure = "{{ none if value_json.confidence is none else (100 * value_json.confidence) | round }}"
    why = "{{ {'reason': value_json.reason} | tojson }}"
    options = [label for label in device.labels if label != UNKNOWN]
    return {
        "mood": {
            **_sensor("Mood", broker.state_topic, mood, icon="mdi:emoticon-outline"),
            "device_class": "enum",
            "options": [*options, UNCERTAIN, NOBODY],
            "json_attributes_topic": broker.state_topic,
            "json_attributes_template": why,
            **_sighted(broker),
        },
        "confidence": {
            **_sensor("Confidence", broker.state_topic, sure, icon="mdi:gauge"),
            **_measured("%"),
            "suggested_display_precision": 0,
            **_sighted(broker),
        },
        "presence": {
            **_binary("Presence", broker.state_topic, "value_json.faces > 0"),
            "device_class": "occupancy",
            **_sighted(broker),
        },
        "faces": {
            **_sensor("Faces", broker.state_topic, "{{ value_json.faces }}", icon="mdi:account"),
            "state_class": "measurement",
            **_sighted(broker),
        },
        "problem": {
            **_binary("Problem", broker.state_topic, "value_json.problem is not none"),
            "device_class": "problem",
            "entity_category": "diagnostic",
            "json_attributes_topic": broker.state_topic,
            "json_attributes_template": "{{ {'problem': value_json.problem} | tojson }}",
        },
    }


def _diagnostic(broker: Broker) -> dict[str, Component]:
    """The daemon's own figures."""
    place, category = broker.diagnostics_topic, {"entity_category": "diagnostic"}
    rate = _sensor("Frame rate", place, "{{ value_json.frame_rate }}", icon="mdi:filmstrip")
    inference = _sensor("Inference", place, "{{ value_json.inference_ms }}", icon="mdi:timer")
    temperature = _sensor("Temperature", place, "{{ value_json.temperature }}")
    model = _sensor("Model version", place, "{{ value_json.model }}", icon="mdi:brain")
    return {
        "frame_rate": {**rate, **_measured("fps"), **category},
        "inference": {**inference, **_measured("ms"), "device_class": "duration", **category},
        "temperature": {
            **temperature,
            **_measured("°C"),
            "device_class": "temperature",
            **category,
        },
        "model_version": {**model, **category},
    }


def _controls(broker: Broker) -> dict[str, Component]:
    """What can be asked for."""
    least, greatest = THRESHOLDS
    return {
        "privacy": {
            "platform": "switch",
            "name": "Privacy",
            "icon": "mdi:eye-off",
            "state_topic": broker.control_topic("privacy"),
            "command_topic": broker.command_topic("privacy"),
        },
        "threshold": {
            "platform": "number",
            "name": "Threshold",
            "icon": "mdi:tune",
            "state_topic": broker.control_topic("threshold"),
            "command_topic": broker.command_topic("threshold"),
            "min": least,
            "max": greatest,
            "step": STEP,
            "mode": "slider",
            "entity_category": "config",
        },
        "restart": {
            "platform": "button",
            "name": "Restart",
            "device_class": "restart",
            "command_topic": broker.command_topic("restart"),
            "payload_press": "PRESS",
            "entity_category": "config",
        },
    }


def _sensor(name: str, place: str, template: str, icon: str | None = None) -> Component:
    sensor = {
        "platform": "sensor",
        "name": name,
        "state_topic": place,
        "value_template": template,
    }
    return sensor if icon is None else {**sensor, "icon": icon}


def _binary(name: str, place: str, condition: str) -> Component:
    template = f"{{{{ 'ON' if {condition} else 'OFF' }}}}"
    return {
        "platform": "binary_sensor",
        "name": name,
        "state_topic": place,
        "value_template": template,
    }


def _measured(unit: str) -> Mapping[str, str]:
    return {"unit_of_measurement": unit, "state_class": "measurement"}


def _online(broker: Broker) -> Mapping[str, str]:
    return {"topic": broker.availability_topic}


def _sighted(broker: Broker) -> Mapping[str, object]:
    """Unavailable also while it is paused, or the camera gives nothing: nobody is not there."""
    blind = "value_json.paused or value_json.problem is not none"
    sight = {
        "topic": broker.state_topic,
        "value_template": f"{{{{ 'offline' if {blind} else 'online' }}}}",
    }
    return {"availability": [_online(broker), sight], "availability_mode": "all"}


def _slug(text: str) -> str:
    """Return a text in the letters that Home Assistant's identifiers may hold."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "mirror"
