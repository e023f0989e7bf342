"""A Home Assistant in a container, spoken to as its page does: REST, with a user's token."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver

from rig.container import Device, cable
from rig.index import index_settings
from support.mosquitto import free_port

VERSION = "2026.11.0"
"""The newest when this was written; it wants Python 3.14, which Debian 13 has not."""
PORT = 8123
NAME, PASSWORD = "rig", "rig-password"
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "HTTPS_PROXY",
}
"""Of pip's settings, what uv calls them: Home Assistant fetches its integrations' needs by uv."""
CONFIGURATION = """
homeassistant: {name: Rig, latitude: 0, longitude: 0, elevation: 0, time_zone: UTC}
api:
config:
"""
BLUEPRINTS = Path(__file__).parents[2] / "firmware-config/homeassistant/blueprints"
INSTALL = f"""
# Python 3.14 from the Debian after this one.
sed -E 's/trixie[a-z-]*/forky/g' /etc/apt/sources.list >/etc/apt/sources.list.d/forky.list
apt-get update -qq -o Acquire::Check-Valid-Until=false  # a mirror may lag
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends -t forky \\
    python3.14-venv >/dev/null
python3.14 -m venv /opt/ha
/opt/ha/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
echo lru-dict==1.4.1 >/opt/ha/override  # the version that it pins has no wheel for this Python
/opt/ha/bin/uv pip install --quiet --python /opt/ha/bin/python --override /opt/ha/override \\
    homeassistant=={VERSION}
# Of spoken commands: no wheel for this Python, and Home Assistant's page wants to import them.
cd /opt/ha/lib/python3.14/site-packages
echo MicroVad = None >pymicro_vad.py
echo AudioProcessor = None >pyspeex_noise.py
/opt/ha/bin/hass --script auth --config /root/ha add {NAME} {PASSWORD}
"""
WELCOMED = {
    **{"version": 4, "minor_version": 1, "key": "onboarding"},
    "data": {"done": ["user", "core_config", "analytics", "integration"]},
}
"""Its page asks a new home's questions no more."""
SPARED = "--skip-pip-packages pymicro-vad,pyspeex-noise"
"""Those it would try to build at each start."""
ANSWERS = (
    f"python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:{PORT}/manifest.json\")'"
)


@contextmanager
def home_assistant(device: Device, settings: str = "") -> Iterator[HomeAssistant]:
    """Install it and our blueprints on a device with a way out, start it, and sign in.

    `settings` is YAML that its configuration has too.
    """
    given = " ".join(f"{UV_NAMES[k]}='{v}'" for k, v in index_settings().items() if k in UV_NAMES)
    folder = device.files / "root/ha"
    folder.mkdir()
    (folder / "configuration.yaml").write_text(f"{CONFIGURATION}{settings}")
    (folder / "automations.yaml").write_text("[]")
    (folder / ".storage").mkdir()
    (folder / ".storage/onboarding").write_text(json.dumps(WELCOMED))
    shutil.copytree(BLUEPRINTS, folder / "blueprints")
    device.check(f"set -e; export {given} PATH; {INSTALL}", seconds=900)
    variables = f"{given} PATH=/opt/ha/bin:/usr/bin:/bin"
    device.check(f"systemd-run --quiet --unit hass env {variables} hass --config /root/ha {SPARED}")
    device.wait(ANSWERS, 900)  # it fetches what its own parts need, the page among them
    with cable(device, port := free_port(), PORT):
        yield HomeAssistant(f"http://127.0.0.1:{port}")


class HomeAssistant:
    """One that runs, and a user who is signed in."""

    def __init__(self, url: str) -> None:
        self.url, self._token = url, ""
        client = f"{url}/"
        asked = {"client_id": client, "handler": ["homeassistant", None], "redirect_uri": client}
        place = f"/auth/login_flow/{self.ask('/auth/login_flow', asked)['flow_id']}"
        signed = {"client_id": client, "username": NAME, "password": PASSWORD}
        code = self.ask(place, signed)["result"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": client}
        self.tokens: dict[str, Any] = self.ask("/auth/token", urllib.parse.urlencode(form))
        self._token = self.tokens["access_token"]

    def ask(self, path: str, body: object = None) -> Any:
        """Ask for a path, or send an object as JSON or a text as a form; return the answer."""
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        kind = "application/x-www-form-urlencoded" if isinstance(body, str) else "application/json"
        headers = {"Content-Type": kind, "Authorization": f"Bearer {self._token}"}
        if not self._token:
            del headers["Authorization"]
        data = None if content is None else content.encode()
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}{path}", data, headers), timeout=60
        ) as answer:
            text = answer.read().decode()
        return json.loads(text) if "json" in answer.headers["Content-Type"] else text

    def sign_in(self, driver: webdriver.Chrome) -> None:
        """Let a browser be the user."""
        own = {"hassUrl": self.url, "clientId": f"{self.url}/", "expires": 2**53}
        driver.get(f"{self.url}/manifest.json")
        driver.execute_script(
            "localStorage.hassTokens = arguments[0]", json.dumps(self.tokens | own)
        )

    def add_mqtt(self, user: str, password: str) -> None:
        """Add the integration as a person does, with the broker on this machine."""
        flows = "/api/config/config_entries/flow"
        flow = self.ask(flows, {"handler": "mqtt"})["flow_id"]
        form = {"broker": "127.0.0.1", "port": 1883, "username": user, "password": password}
        form["other_settings"] = {"set_client_cert": False, "set_ca_cert": "off"}
        done = self.ask(f"{flows}/{flow}", form)
        assert done["type"] == "create_entry", done

    def add_automation(self, automation: Mapping[str, Any]) -> str:
        """Add one as its editor does; return its entity."""
        name = automation["alias"].lower().replace(" ", "_")
        self.ask(f"/api/config/automation/config/{name}", automation)
        self.wait(entity := f"automation.{name}", "on")
        return entity

    def states(self, name: str) -> Mapping[str, Any]:
        """Return the states of the entities whose names begin so, by entity."""
        every = self.ask("/api/states")
        return {
            one["entity_id"]: one
            for one in every
            if one["entity_id"].partition(".")[2].startswith(name)
        }

    def wait(self, entity: str, state: str, seconds: float = 180) -> Mapping[str, Any]:
        """Wait until an entity has a state; return it."""
        end = time.monotonic() + seconds
        while True:
            found = self.states("").get(entity, {"state": "not there"})
            if found["state"] == state:
                return dict(found)
            assert time.monotonic() < end, f"{entity}: {found['state']}, expected {state}"
            time.sleep(0.5)

    def do(self, action: str, entity: str, **data: object) -> None:
        """Perform an action on an entity, such as `switch.turn_on`."""
        self.ask(f"/api/services/{action.replace('.', '/')}", {"entity_id": entity, **data})

    def template(self, text: str) -> str:
        """Return what a template comes to."""
        return str(self.ask("/api/template", {"template": text}))
