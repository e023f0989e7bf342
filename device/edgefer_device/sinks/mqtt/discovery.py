"""MQTT device discovery: the retained message that describes this device to Home Assistant.

As Home Assistant 2026.11.0 took it (`tests/rig/rig_homeassistant.py`): `origin` is required; names
come from `default_entity_id`; an enum sensor has `options` and no `state_class`, and refuses any
other value; its own word for no value is "unknown", so our `unknown` is published
as `uncertain`, and no face as `nobody`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgefer import __version__
from edgefer.heads import Calibration
from edgefer.labels import EVERY_LABEL, NOBODY, UNCERTAIN, UNKNOWN
from edgefer.manifest import Manifest
from edgefer_device.pipeline.control_state import THRESHOLDS
from edgefer_device.sinks.mqtt.broker import Broker

STEP = 0.05
"""Of the threshold."""

PRECISION = {"fps": 1, "ms": 1}
"""Decimals that are shown, by unit; of others none."""
MOOD = (
    f"'{NOBODY}' if value_json.mood is none else "
    f"'{UNCERTAIN}' if value_json.mood == '{UNKNOWN}' else value_json.mood"
)
NAMES: dict[str, dict[str, str]] = msgspec.json.decode(
    (Path(__file__).parent / "names.json").read_bytes()
)
"""By language, of each English name."""

Component = dict[str, Any]
DIAGNOSTIC = {"entity_category": "diagnostic"}


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What does not change while the daemon runs."""

    labels: tuple[str, ...] = EVERY_LABEL
    model: str = ""
    """Name of the bundle and the beginning of its model's hash."""
    threshold: float = Calibration().threshold
    """As configured, 0..1."""
    page: str | None = None
    """The mirror page's URL without its token; None where only this machine reaches it."""
    language: str = "en"
    """Code of the language of the entities' names; English where there are none in it."""

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        labels: tuple[str, ...],
        threshold: float,
        page: str | None,
        language: str,
    ) -> DeviceInfo:
        """Return the info of a model, the labels read of it and what is configured."""
        digest = manifest.files["int8"].sha256[:8] if "int8" in manifest.files else ""
        model = f"{manifest.name} {digest}".strip()
        return cls(labels, model, threshold, page, language)


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
    names = NAMES.get(device.language, {})
    for key, component in components.items():
        component["name"] = names.get(component["name"], component["name"])
        component["unique_id"] = f"{device_id(broker)}_{key}"
        component["default_entity_id"] = f"{component['platform']}.{_slug(name)}_{key}"
    about = {
        "identifiers": [device_id(broker)],
        "name": name,
        "manufacturer": "edgefer",
        "model": device.model,
        "sw_version": __version__,
    }
    return {
        "device": about | ({"configuration_url": device.page} if device.page else {}),
        "origin": {"name": "edgefer", "sw_version": __version__},
        "availability": [{"topic": broker.topic("availability")}],
        "qos": broker.qos,
        "components": components | _triggers(broker, device.labels),
    }


def shown(mood: str | None) -> str:
    """Return the word for a mood there, as `MOOD` makes it of a payload."""
    return NOBODY if mood is None else UNCERTAIN if mood == UNKNOWN else mood


def _triggers(broker: Broker, labels: Sequence[str]) -> dict[str, Component]:
    """Return a device trigger for each mood: `"happy" seen` in the automation editor."""
    return {
        f"seen_{number}": {
            "platform": "device_automation",
            "automation_type": "trigger",
            "type": "seen",
            "subtype": mood,
            "topic": broker.topic("event"),
            "value_template": "{{ value_json.event_type }}",
            "payload": mood,
        }
        for number, mood in enumerate((*labels, UNCERTAIN, NOBODY))
    }


def _mood(broker: Broker, labels: Sequence[str]) -> dict[str, Component]:
    """Return what the state shows while the camera sees something, and its problem."""
    state, summary = broker.topic("state"), broker.topic("summary")
    options = {"device_class": "enum", "options": [*labels, UNCERTAIN, NOBODY]}
    sure = "none if value_json.confidence is none else (100 * value_json.confidence) | round"
    seen = {
        "mood": _sensor("Mood", state, MOOD, icon="mdi:emoticon-outline")
        | options
        | _attribute(state, "reason"),
        "confidence": _sensor("Confidence", state, sure, "%", icon="mdi:gauge"),
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
    return {
        **seen,
        "mood_10_minutes": _sensor(
            "Mood of the last ten minutes", summary, MOOD, icon="mdi:emoticon-outline"
        )
        | options,
        "smiles_today": _sensor(
            "Smiles today", summary, "value_json.smiles", "%", icon="mdi:emoticon-happy-outline"
        ),
        "mood_change": {
            "platform": "event",
            "name": "Mood change",
            "icon": "mdi:swap-horizontal",
            "state_topic": broker.topic("event"),
            "event_types": options["options"],
        },
        "problem": problem | DIAGNOSTIC | _attribute(state, "problem"),
    }


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
        "suggested_display_precision": unit and PRECISION.get(unit, 0),
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
