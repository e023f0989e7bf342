"""Home Assistant itself finds a device at its broker, shows its mood and closes its camera.

What docs/homeassistant.md promises, beside a daemon that `first-boot` set up with its broker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.card import PLACE
from rig.container import Device
from rig.deployment import EDGEFER
from rig.home_assistant import HomeAssistant, home_assistant
from rig.index import online

DOCUMENT = Path(__file__).parents[2] / "docs" / "homeassistant.md"
MOOD, PRIVACY = "sensor.mirror_mood", "switch.mirror_privacy"
UPTIME = (
    f"{EDGEFER} status --json | "
    "python3 -c 'import json, sys; print(int(json.load(sys.stdin)[\"uptime\"]))'"
)
SECRET = "its-own"
"""The password of Home Assistant's user at the broker."""

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def device(card: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """One whose topic is a mirror's, and whose broker knows Home Assistant."""
    with online([card], tmp_path_factory.mktemp("probe")) as device:
        device.check(f"sh /{PLACE}/first-boot debian --broker", seconds=600)
        device.check(f"mosquitto_passwd -b /etc/mosquitto/edgefer.passwd homeassistant {SECRET}")
        mine = "s#edgefer/#edgefer/mirror/#; s#edgefer_edgefer/#edgefer_edgefer_mirror/#"
        device.check(f"sed -i '{mine}' /etc/mosquitto/edgefer.acl && systemctl reload mosquitto")
        topic = "s#mqtt://127.0.0.1/edgefer#&/mirror#"
        device.check(f"sed -i '{topic}' /etc/edgefer/edgefer.toml && systemctl restart edgefer")
        yield device


@pytest.fixture(scope="module")
def home(device: Device) -> Iterator[HomeAssistant]:
    with home_assistant(device) as home:
        home.add_mqtt("homeassistant", SECRET)
        home.wait(MOOD, "happy")
        yield home


def documented() -> set[str]:
    """The entities of the document's table; `…_name` has the start of the one before it."""
    rows = [
        line for line in DOCUMENT.read_text().splitlines() if re.match(r"\| `\w+\.mirror_", line)
    ]
    names = [name for row in rows for name in re.findall(r"`([\w.…]+)`", row.split("|")[1])]
    return {name.replace("…", "sensor.mirror") for name in names}


def test_it_finds_every_entity_that_the_document_names(home: HomeAssistant) -> None:
    assert len(documented()) == 16
    assert set(home.states("mirror")) == documented()


def test_it_shows_what_the_camera_sees(home: HomeAssistant) -> None:
    mood = home.wait(MOOD, "happy")
    assert mood["attributes"]["reason"] is None
    assert {"happy", "sad", "uncertain", "nobody"} < set(mood["attributes"]["options"])
    states = home.states("mirror")
    assert states["sensor.mirror_faces"]["state"] == "1"
    assert states["binary_sensor.mirror_presence"]["state"] == "on"
    assert states["binary_sensor.mirror_problem"]["state"] == "off"
    assert 50 <= int(states["sensor.mirror_confidence"]["state"]) <= 100
    assert states["sensor.mirror_model_version"]["state"].startswith("small ")


def test_they_are_one_device(home: HomeAssistant) -> None:
    one = f"device_id('{MOOD}')"
    assert home.template(f"{{{{ device_attr({one}, 'manufacturer') }}}}") == "edgefer"
    entities = home.template(f"{{{{ device_entities({one}) | sort | join(' ') }}}}").split()
    assert set(entities) == documented()


def test_its_switch_closes_the_camera(home: HomeAssistant, device: Device) -> None:
    home.do("switch.turn_on", PRIVACY)
    home.wait(MOOD, "unavailable")
    home.wait(PRIVACY, "on")
    assert "paused" in device.check(f"{EDGEFER} status")
    home.do("switch.turn_off", PRIVACY)
    home.wait(MOOD, "happy")


def test_a_pause_on_the_device_moves_its_switch(home: HomeAssistant, device: Device) -> None:
    device.check(f"{EDGEFER} pause")
    home.wait(PRIVACY, "on")
    device.check(f"{EDGEFER} resume")
    home.wait(PRIVACY, "off")
    home.wait(MOOD, "happy")


def test_its_slider_sets_the_threshold(home: HomeAssistant) -> None:
    threshold = "number.mirror_threshold"
    before = home.states("mirror")[threshold]["state"]
    home.do("number.set_value", threshold, value=0.95)
    home.wait(threshold, "0.95")
    home.do("number.set_value", threshold, value=float(before))
    home.wait(threshold, before)


def test_its_button_starts_a_fresh_daemon(home: HomeAssistant, device: Device) -> None:
    before = int(device.check(UPTIME))
    home.do("button.press", "button.mirror_restart")
    device.wait(f"[ $({UPTIME}) -lt {before} ]")
    home.wait(MOOD, "happy")


def test_a_daemon_that_is_gone_is_not_a_face_that_is(home: HomeAssistant, device: Device) -> None:
    device.check("systemctl stop edgefer")
    home.wait(MOOD, "unavailable")
    device.check("systemctl start edgefer")
    home.wait(MOOD, "happy")


def test_its_log_has_no_word_against_the_device(home: HomeAssistant, device: Device) -> None:
    lines = device.check("journalctl --unit hass --output cat").splitlines()
    assert not [line for line in lines if "mqtt" in line and re.search("WARNING|ERROR", line)]


def test_it_forgets_a_device_as_the_document_says(home: HomeAssistant, device: Device) -> None:
    device.check("systemctl stop edgefer")
    topics = ["homeassistant/device/edgefer_edgefer_mirror/config"]
    names = ("state", "summary", "diagnostics", "availability")
    topics += [f"edgefer/mirror/{name}" for name in names]
    for topic in [*topics, "edgefer/mirror/privacy", "edgefer/mirror/threshold"]:
        device.check(f"mosquitto_pub -u homeassistant -P {SECRET} -r -n -t {topic}")
    device.wait("sleep 2")
    assert home.states("mirror") == {}
