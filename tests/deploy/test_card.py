"""A card that installs a mirror by itself: what the verb writes, read by cloud-init and netplan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer.errors import SettingsError
from edgefer.text_files import read_text
from edgefer_device.deploy import artifacts
from edgefer_device.deploy.card import Card, _network
from firmware.test_first_boot import netplan, schema

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvY me@laptop"


def write(out: Path, wheel: Path, *words: str, key: str = KEY) -> Result:
    """Type the verb."""
    file = out.with_name("key.pub")
    file.write_text(f"{key}\n")
    given = ["--out", str(out), "--key", str(file), "--wheel", str(wheel), *words]
    environment = {"EDGEFER_WIFI_PASSWORD": 'pass"word', "XDG_CACHE_HOME": str(wheel.parent)}
    return CliRunner(env=environment).invoke(main, ["fleet", "card", *given])


def test_a_card_has_all_that_its_first_boot_needs(tmp_path: Path, wheel: Path) -> None:
    out = tmp_path / "card"
    words = ("--name", "hall", "--timezone", "Europe/Berlin", "--wifi", "Our: net")
    done = write(out, wheel, *words)
    assert done.exit_code == 0, done.stderr
    status, said = schema(out / "user-data")
    assert status == 0, said
    text = (out / "user-data").read_text()
    assert "CHANGE" not in text.partition("hostname:")[2].replace("# CHANGE:", "")
    for wanted in ("hostname: hall", KEY, "timezone: Europe/Berlin", "first-boot, rpi, --kiosk]"):
        assert wanted in text
    assert "mosquitto" not in text
    assert "wpa-wlan0.conf" in netplan(tmp_path / "root", (out / "network-config").read_text())
    wifi = (tmp_path / "root" / "run" / "netplan" / "wpa-wlan0.conf").read_text()
    assert 'ssid="Our: net"' in wifi
    names = {path.name for path in (out / "edgefer").iterdir()}
    assert {"first-boot", "offline", wheel.name} <= names
    litert = [name for name in names if name.startswith("ai_edge_litert")]
    assert [name.endswith("aarch64.whl") for name in litert] == [True]
    # The system's NumPy is picamera2's.
    assert not [name for name in names if name.startswith("numpy")]


@pytest.mark.parametrize(
    ("words", "key", "complaint"),
    [
        ((), "-----BEGIN OPENSSH PRIVATE KEY-----", "no public SSH key"),
        (("--name", "My Mirror"), KEY, "My Mirror: no name of a machine"),
        (("--timezone", "a\nb: c"), KEY, "no time zone"),
        (("--wifi", "net", "--country", "de"), KEY, "de: no country"),
        (("--wifi", "net", "--country", "DE\n  x: y"), KEY, "two capital letters"),
    ],
)
def test_what_a_card_cannot_have_is_refused(
    tmp_path: Path, wheel: Path, words: tuple[str, ...], key: str, complaint: str
) -> None:
    done = write(tmp_path / "card", wheel, *words, key=key)
    assert done.exit_code == 1
    assert complaint in done.stderr


def network(name: str, password: str) -> dict[str, Any]:
    """The access points that a card's network-config has."""
    text = read_text(artifacts.firmware_config() / "rpi" / "first-boot" / "network-config")
    written = _network(text, Card(Path("key.pub"), wifi=name, wifi_password=password))
    found: dict[str, Any] = yaml.safe_load(written)["network"]["wifis"]["wlan0"]["access-points"]
    return found


@pytest.mark.parametrize(
    "name", ['a "net"', "back\\slash", "tab\there", "bell\a", "del\x7f", "Zürich 网"]
)
def test_any_name_and_password_survive_yaml(name: str) -> None:
    assert network(name, f"secret: {name}") == {name: {"password": f"secret: {name}"}}


@pytest.mark.parametrize("password", ["x" * 7, "x" * 64, "a" * 65, "two\nlines"])
def test_what_is_no_password_of_a_wifi_is_refused(password: str) -> None:
    with pytest.raises(SettingsError, match="has 8 to 63 characters"):
        network("net", password)


@pytest.mark.parametrize("password", ["x" * 8, "x" * 63, "0aF9" * 16])
def test_a_password_of_a_wifi_or_its_hash_is_taken(password: str) -> None:
    assert network("net", password) == {"net": {"password": password}}
