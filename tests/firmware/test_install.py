"""The script that puts the files where they belong, into root folders of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgefer_device.daemon.configuration import load_config
from support.firmware_files import FIRMWARE, System, run
from support.mosquitto import executable

INSTALL = FIRMWARE / "common" / "install"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A fresh card: nothing but the firmware's own settings."""
    boot = tmp_path / "root" / "boot" / "firmware"
    boot.mkdir(parents=True)
    (boot / "config.txt").write_text("[pi4]\narm_boost=1\n")
    return tmp_path / "root"


def install(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(INSTALL), "--root", str(root), *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def files(root: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return content, mode and time of change of all files."""
    found = [path for path in root.rglob("*") if path.is_file()]
    return {
        f"/{path.relative_to(root)}": (
            path.read_bytes(),
            path.stat().st_mode & 0o777,
            path.stat().st_mtime_ns,
        )
        for path in found
    }


@pytest.mark.parametrize("target", ["rpi", "rpi-coral", "jetson", "debian"])
def test_a_second_run_changes_nothing(root: Path, target: str) -> None:
    executable("mosquitto_passwd")
    first = install(root, "--kiosk", "--broker", target)
    assert (first.returncode, first.stderr) == (0, "")
    before = files(root)
    again = install(root, "--kiosk", "--broker", target)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert files(root) == before


def test_without_options_there_is_the_daemon_alone(root: Path) -> None:
    assert install(root, "debian").returncode == 0
    assert set(files(root)) == {
        "/boot/firmware/config.txt",
        "/etc/systemd/system/edgefer-release.service",
        "/etc/systemd/system/edgefer.service",
        "/etc/udev/rules.d/70-edgefer.rules",
        "/etc/edgefer/edgefer.toml",
    }


def test_settings_and_secrets_that_are_there_stay(root: Path) -> None:
    executable("mosquitto_passwd")
    (root / "etc" / "edgefer").mkdir(parents=True)
    own = {"edgefer.toml": 'camera = "demo:"\n', "mqtt-password": "mine"}
    for name, text in own.items():
        (root / "etc" / "edgefer" / name).write_text(text)
    assert install(root, "--broker", "debian").returncode == 0
    assert {name: (root / "etc" / "edgefer" / name).read_text() for name in own} == own


def test_a_broker_of_ones_own_has_a_password_that_only_root_reads(root: Path) -> None:
    executable("mosquitto_passwd")
    assert install(root, "--broker", "debian").returncode == 0
    placed = files(root)
    secret, mode, _ = placed["/etc/edgefer/mqtt-password"]
    hashed, _, _ = placed["/etc/mosquitto/edgefer.passwd"]
    assert (len(secret), mode) == (48, 0o600)
    assert hashed.startswith(b"edgefer:$7$")
    assert secret not in hashed
    config = load_config(root / "etc" / "edgefer" / "edgefer.toml")
    assert config.sinks == ("mirror:", "mqtt://127.0.0.1/edgefer")
    mqtt = config.mqtt
    assert mqtt.user == "edgefer"
    assert mqtt.password_file == "/run/credentials/edgefer.service/mqtt-password"


def test_the_password_alone_is_made_where_there_is_none(root: Path) -> None:
    executable("mosquitto_passwd")
    for _ in range(2):
        assert install(root, "--password", "debian").returncode == 0
        made = files(root)
    assert {name for name in made if name.startswith("/etc/")} == {
        "/etc/edgefer/mqtt-password",
        "/etc/mosquitto/edgefer.passwd",
    }


def test_boot_settings_are_named_once_at_the_end_and_for_every_board(root: Path) -> None:
    for _ in range(2):
        assert install(root, "rpi-coral").returncode == 0
    text = (root / "boot" / "firmware" / "config.txt").read_text()
    added = "[all]\ninclude edgefer.txt\n\n[all]\ninclude edgefer-coral.txt\n"
    assert text == f"[pi4]\narm_boost=1\n\n{added}"
    boot = files(root)
    fragment = (FIRMWARE / "rpi-coral" / "config.txt").read_bytes()
    assert boot["/boot/firmware/edgefer-coral.txt"][0] == fragment


def test_what_it_puts_there_is_what_systemd_reads(root: Path, tmp_path: Path) -> None:
    assert install(root, "--kiosk", "jetson").returncode == 0
    system = System(tmp_path / "other")
    units = root / "etc" / "systemd" / "system"
    for unit in sorted(path for path in units.rglob("*") if path.is_file()):
        system.add(unit)
    for name in ("edgefer", "edgefer-release", "edgefer-kiosk", "edgefer-power"):
        done = system.verify(f"{name}.service")
        assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("pi",), "expected a target: rpi, rpi-coral, jetson or debian; got 'pi'"),
        ((), "got ''"),
        (
            ("--kisok", "rpi"),
            "unknown option --kisok; known: --root DIR, --kiosk, --broker, --password",
        ),
        (("--root", "/nowhere", "rpi"), "/nowhere is no folder"),
        (("--root",), "--root needs a folder"),
    ],
)
def test_what_it_cannot_do_is_reported_in_a_line(
    root: Path, options: tuple[str, ...], complaint: str
) -> None:
    done = install(root, *options)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_card_of_something_else_is_reported(tmp_path: Path) -> None:
    done = install(tmp_path, "rpi")
    assert done.returncode == 1
    assert "config.txt is missing: is this a Raspberry Pi's card?" in done.stderr


def test_the_readme_names_every_file() -> None:
    readme = (FIRMWARE / "README.md").read_text()
    shipped = {str(path.relative_to(FIRMWARE)) for path in FIRMWARE.rglob("*") if path.is_file()}
    assert {name for name in shipped - {"README.md"} if f"`{name}`" not in readme} == set()


def test_every_script_is_plain_sh() -> None:
    for path in FIRMWARE.rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh"):
            assert run("dash", "-n", path).status == 0, path
