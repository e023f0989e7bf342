"""Home Assistant itself finds a device at its broker, shows its mood and closes its camera.

What docs/homeassistant.md promises, beside a daemon that `first-boot` set up with its broker.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own

from edgefer_device.sinks.mqtt.state import Change, State
from edgefer_device.sinks.mqtt.summary import Summary
from rig.card import PLACE, SETTINGS
from rig.container import Device
from rig.deployment import EDGEFER
from rig.home_assistant import HomeAssistant, home_assistant
from rig.index import online
from support.browser import chromium, picture
from support.page_colours import colours

PAGE = (Path(__file__).parents[2] / "docs" / "homeassistant.md").read_text("utf-8")
MOOD, PRIVACY = "sensor.mirror_mood", "switch.mirror_privacy"
TEN_MINUTES = "sensor.mirror_mood_10_minutes"
COLOUR, SPOKEN = "input_text.colour", "input_boolean.spoken"
UPTIME = (
    f"{EDGEFER} status --json | "
    "python3 -c 'import json, sys; print(int(json.load(sys.stdin)[\"uptime\"]))'"
)
AUTOMATIONS = """
input_boolean: {lamp: , spoken: , seen: }
input_text: {colour: , plays: }
input_datetime: {evening: {has_time: true}, morning: {has_time: true}}
template:
  - light:
      - name: hall
        state: "{{ is_state('input_boolean.lamp', 'on') }}"
        turn_on: {action: input_boolean.turn_on, target: {entity_id: input_boolean.lamp}}
        turn_off: {action: input_boolean.turn_off, target: {entity_id: input_boolean.lamp}}
        set_rgb:
          - action: input_text.set_value
            target: {entity_id: input_text.colour}
            data: {value: "{{ r }} {{ g }} {{ b }}"}
          - {action: input_boolean.turn_on, target: {entity_id: input_boolean.lamp}}
media_player:
  - platform: universal
    name: hall
    commands:
      play_media:
        action: input_text.set_value
        target: {entity_id: input_text.plays}
        data: {value: "{{ media_content_type }} {{ media_content_id }}"}
automation ui: !include automations.yaml
automation ours:
  - alias: Light by mood
    use_blueprint:
      path: edgefer/light_by_mood.yaml
      input:
        mood: sensor.mirror_mood
        light: {entity_id: light.hall}
        after: "00:00:00"
  - alias: A gentle word
    use_blueprint:
      path: edgefer/gentle_word.yaml
      input:
        mood: sensor.mirror_mood_10_minutes
        word: [{action: input_boolean.turn_on, target: {entity_id: input_boolean.spoken}}]
  - alias: Playlist by mood
    use_blueprint:
      path: edgefer/playlist_by_mood.yaml
      input:
        mood: sensor.mirror_mood_10_minutes
        player: media_player.hall
        playlists: {sad: "calm"}
  - alias: Privacy at night
    use_blueprint:
      path: edgefer/privacy_at_night.yaml
      input:
        privacy: switch.mirror_privacy
        evening: input_datetime.evening
        morning: input_datetime.morning
"""
"""Each of our blueprints, and what they act on."""
TEXTS = """
    const texts = (node) => [node, ...node.querySelectorAll("*")].flatMap((each) => [
      ...[...each.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data.trim()),
      ...(each.shadowRoot ? texts(each.shadowRoot) : []),
    ]);
    return texts(document);
"""
"""What stands on Home Assistant's page, whose parts are hidden in one another."""
SECRET = "its-own"
"""The password of Home Assistant's user at the broker."""

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def device(card: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """One whose topic is a mirror's, and whose broker knows Home Assistant."""
    with online([card], tmp_path_factory.mktemp("probe")) as device:
        device.check(f"sed -i 's#mqtt://127.0.0.1/edgefer#&/mirror#' {SETTINGS}")
        device.check(f"sh /{PLACE}/first-boot debian --broker", seconds=600)
        device.check(f"mosquitto_passwd -b /etc/mosquitto/edgefer.passwd homeassistant {SECRET}")
        mine = "s#edgefer_edgefer/#edgefer_edgefer_mirror/#; s#edgefer/#edgefer/mirror/#"
        device.check(f"sed -i '{mine}' /etc/mosquitto/edgefer.acl && systemctl reload mosquitto")
        device.check("systemctl restart edgefer")
        yield device


@pytest.fixture(scope="module")
def home(device: Device) -> Iterator[HomeAssistant]:
    with home_assistant(device, AUTOMATIONS) as home:
        home.add_mqtt("homeassistant", SECRET)
        home.wait(MOOD, "happy")
        yield home


def say(device: Device, topic: str, payload: str | msgspec.Struct) -> None:
    """Publish in the daemon's place."""
    text = payload if isinstance(payload, str) else msgspec.json.encode(payload).decode()
    words = f"mosquitto_pub -u homeassistant -P {SECRET} -t edgefer/mirror/{topic}"
    device.check(f"{words} -m {shlex.quote(text)}")


def documented() -> set[str]:
    """The entities of the document's table; `…_name` has the start of the one before it."""
    rows = [line for line in PAGE.splitlines() if re.match(r"\| `\w+\.mirror_", line)]
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


def test_its_page_looks_as_the_document_shows(
    home: HomeAssistant, device: Device, tmp_path: Path
) -> None:
    place = home.template(f"/config/devices/device/{{{{ device_id('{MOOD}') }}}}")
    home.wait(TEN_MINUTES, "happy")
    say(device, "event", Change("happy", "neutral", 0.8))
    with chromium(720, 1340) as driver:
        home.sign_in(driver)
        driver.get(f"{home.url}{place}")
        end = time.monotonic() + 180
        while not {"Privacy", "Mood", "happy", "Threshold"} <= set(driver.execute_script(TEXTS)):
            assert time.monotonic() < end, driver.current_url
            time.sleep(1)
        time.sleep(3)  # its icons come one by one
        seen = Path(os.environ.get("RIG_PICTURES", tmp_path)) / "homeassistant.png"
        seen.write_bytes(picture(driver))


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


@contextmanager
def actor(home: HomeAssistant, device: Device) -> Iterator[None]:
    """Take the place of the daemon, which says what it sees itself."""
    device.check("systemctl stop edgefer")
    say(device, "availability", "online")
    try:
        yield
    finally:
        device.check("systemctl start edgefer")
        home.wait(MOOD, "happy")


def test_a_change_is_an_event_and_a_trigger(home: HomeAssistant, device: Device) -> None:
    mirror = home.template(f"{{{{ device_id('{MOOD}') }}}}")
    seen = {"platform": "device", "domain": "mqtt", "device_id": mirror, "type": "seen"}
    act = {"action": "input_boolean.turn_on", "target": {"entity_id": "input_boolean.seen"}}
    home.add_automation(
        {"alias": "Mirror sees sad", "triggers": [seen | {"subtype": "sad"}], "actions": [act]}
    )
    home.wait("input_boolean.seen", "off")
    say(device, "event", Change("sad", "happy", 0.7))
    home.wait("input_boolean.seen", "on")
    change = home.states("mirror")["event.mirror_mood_change"]["attributes"]
    assert (change["event_type"], change["before"]) == ("sad", "happy")


@pytest.mark.parametrize(
    "name", ["light_by_mood", "playlist_by_mood", "privacy_at_night", "a_gentle_word"]
)
def test_its_blueprint_is_loaded(name: str, home: HomeAssistant) -> None:
    home.wait(f"automation.{name}", "on")


def test_a_light_takes_the_colour_of_the_mood(home: HomeAssistant, device: Device) -> None:
    page = colours()
    with actor(home, device):
        for mood in ("sad", "surprise"):
            say(device, "state", State(mood, 0.8, 1, 1.0))
            home.wait(COLOUR, " ".join(f"{level:.0f}" for level in page[mood]))
            home.wait("light.hall", "on")


def test_a_player_starts_the_moods_playlist(home: HomeAssistant, device: Device) -> None:
    with actor(home, device):
        for mood in ("happy", "sad"):
            say(device, "summary", Summary(mood, 10.0))
            home.wait(TEN_MINUTES, mood)
        home.wait("input_text.plays", "playlist calm")


def test_a_gentle_word_is_said_once(home: HomeAssistant, device: Device) -> None:
    with actor(home, device):
        for said in ("on", "off"):
            for mood in ("happy", "sad"):
                say(device, "summary", Summary(mood, 10.0))
                home.wait(TEN_MINUTES, mood)
            home.wait(SPOKEN, said)
            home.do("input_boolean.turn_off", SPOKEN)


def test_the_camera_is_closed_at_night(home: HomeAssistant) -> None:
    for name, state in (("evening", "on"), ("morning", "off")):
        at = home.template("{{ (now() + timedelta(seconds=30)).strftime('%H:%M:%S') }}")
        home.do("input_datetime.set_datetime", f"input_datetime.{name}", time=at)
        home.wait(PRIVACY, state)
    home.wait(MOOD, "happy")


def test_the_documents_automations_run(home: HomeAssistant) -> None:
    warm, closes = map(yaml.safe_load, re.findall(r"```yaml\n(alias.*?)```", PAGE, re.DOTALL))
    home.do("light.turn_off", "light.hall")
    home.do("automation.trigger", home.add_automation(warm))
    home.wait("light.hall", "on")
    home.do("automation.trigger", home.add_automation(closes))
    home.wait(PRIVACY, "on")
    home.do("switch.turn_off", PRIVACY)
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
    assert not documented() & set(home.states("mirror"))
