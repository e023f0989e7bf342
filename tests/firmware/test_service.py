"""The daemon's unit, read by systemd itself, and how much it leaves open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgefer_device.system.service import OPEN_FILES
from support.firmware_files import FIRMWARE, System, run, settings, tool

SERVICE = FIRMWARE / "common" / "edgefer.service"
MOST_EXPOSED = 20
"""In tenths, as `--threshold` has it: 2.0 of 10."""


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path / "root")


def exposure(unit: Path) -> dict[str, bool]:
    """Return each of systemd's points about a unit, and whether it is met."""
    analyze = tool("systemd-analyze", "systemd")
    done = run(analyze, "security", "--offline=true", "--json=short", unit)
    return {point["json_field"]: bool(point["set"]) for point in json.loads(done.out)}


def test_systemd_reads_it_without_a_word(system: System) -> None:
    system.add(SERVICE)
    done = system.verify("edgefer.service")
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(
    ("line", "broken", "complaint"),
    [
        ("DynamicUser=yes", "DynamicUsers=yes", "'DynamicUsers'"),
        ("SystemCallFilter=@system-service", "SystemCallFilter=@no-such", "@no-such"),
        ("/opt/edgefer/current/bin/edgefer run", "opt/edgefer run", "Neither a valid executable"),
        ("SetCredential=mqtt-key:\\n", "SetCredential=mqtt-key:", "Invalid syntax"),
    ],
)
def test_systemd_would_tell_what_is_wrong(
    system: System, line: str, broken: str, complaint: str
) -> None:
    text = SERVICE.read_text()
    assert line in text
    system.add(SERVICE).write_text(text.replace(line, broken))
    assert complaint in system.verify("edgefer.service").err


def test_it_leaves_little_open() -> None:
    analyze = tool("systemd-analyze", "systemd")
    command = (analyze, "security", "--offline=true", "--no-pager")
    done = run(*command, f"--threshold={MOST_EXPOSED}", SERVICE)
    assert done.status == 0, done.out


def test_the_firmwares_device_is_a_raspberry_pis_alone() -> None:
    units = [*FIRMWARE.rglob("*.service"), *FIRMWARE.rglob("*.conf")]
    opened = [path.name for path in units if "vcio" in path.read_text()]
    assert opened == ["rpi.conf"]


def test_what_it_leaves_open_is_what_it_needs() -> None:
    unmet = {point for point, is_met in exposure(SERVICE).items() if not is_met}
    cameras = {"PrivateDevices", "DeviceAllow", "SupplementaryGroups"}
    network = {
        "PrivateNetwork",
        "IPAddressDeny",
        "RestrictAddressFamilies_AF_INET_INET6",
        "RestrictAddressFamilies_AF_UNIX",
        "RestrictAddressFamilies_AF_NETLINK",
    }
    # /proc/cpuinfo; cores for LiteRT; and the host's libraries, for it has no image of its own.
    machine = {"ProcSubset", "SystemCallFilter_resources", "RootDirectoryOrRootImage"}
    assert unmet <= cameras | network | machine


def test_it_writes_its_state_and_nothing_else() -> None:
    service = settings(SERVICE, "Service")
    assert service["ProtectSystem"] == ["strict"]
    assert service["StateDirectory"] == ["edgefer"]
    writable = {
        "ReadWritePaths",
        "BindPaths",
        "CacheDirectory",
        "LogsDirectory",
        "RuntimeDirectory",
    }
    assert writable.isdisjoint(service)


def test_it_may_use_cameras_and_coral() -> None:
    allowed = {rule.rsplit(" ", 1)[0] for rule in settings(SERVICE, "Service")["DeviceAllow"]}
    assert {"char-video4linux", "char-media", "char-dma_heap"} <= allowed
    assert {"char-apex", "char-usb_device"} <= allowed


def test_every_setting_has_its_reason() -> None:
    """Each block of settings stands under a comment; one that explains itself stays in one."""
    explained = False
    for line in (
        SERVICE.read_text().partition("[Service]")[2].partition("[Install]")[0].splitlines()
    ):
        explained = line.startswith("#") or (explained and bool(line))
        assert explained or not line, f"{line}: no comment above it or its block"


def test_the_unit_sets_the_limit_of_files_that_the_daemon_would_raise() -> None:
    assert f"\nLimitNOFILE={OPEN_FILES}\n" in SERVICE.read_text()


def test_systemd_reads_the_drop_in_that_the_document_has_for_commands(system: System) -> None:
    document = (FIRMWARE.parent / "docs" / "content.md").read_text("utf-8")
    drop_in = document.partition("```ini\n")[2].partition("```")[0]
    assert "DeviceAllow=char-alsa rw" in drop_in
    unit = system.add(SERVICE)
    folder = unit.with_name("edgefer.service.d")
    folder.mkdir()
    (folder / "content.conf").write_text(drop_in)
    done = system.verify("edgefer.service")
    assert (done.status, done.err) == (0, "")
    (folder / "content.conf").write_text(drop_in.replace("tmpfs", "tempfs"))
    assert "tempfs" in system.verify("edgefer.service").err
