"""A Jetson's power mode and what its GPU takes, read by systemd."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.firmware_files import FIRMWARE, System, programs, run, settings, tool

POWER = FIRMWARE / "jetson" / "edgefer-power.service"
DROPIN = FIRMWARE / "jetson" / "edgefer.service.d" / "jetson.conf"


@pytest.fixture
def system(tmp_path: Path) -> System:
    system = System(tmp_path / "root")
    for unit in (FIRMWARE / "common" / "edgefer.service", DROPIN, POWER):
        system.add(unit)
    return system


def test_systemd_reads_both_without_a_word(system: System) -> None:
    for unit in ("edgefer.service", POWER.name):
        done = system.verify(unit)
        assert (done.status, done.err) == (0, "")


def test_systemd_would_tell_what_is_wrong_in_the_drop_in(system: System) -> None:
    place = system.units / "edgefer.service.d" / DROPIN.name
    place.write_text(DROPIN.read_text().replace("DevicePolicy=auto", "DevicePolicy=any"))
    assert "device policy" in system.verify("edgefer.service").err.lower()


def test_the_gpu_costs_little_of_the_daemons_closeness(tmp_path: Path) -> None:
    """`security --offline` reads a unit file alone, so the drop-in is appended to it."""
    whole = tmp_path / "edgefer.service"
    service = (FIRMWARE / "common" / "edgefer.service").read_text()
    whole.write_text(service + DROPIN.read_text())
    analyze = tool("systemd-analyze", "systemd")
    done = run(analyze, "security", "--offline=true", "--no-pager", "--threshold=20", whole)
    assert done.status == 0, done.out


def test_engines_are_kept_where_the_service_may_write() -> None:
    service = settings(DROPIN, "Service")
    assert service["CacheDirectory"] == ["edgefer"]
    folders = [line.partition("=")[2] for line in service["Environment"] if "PATH=" in line]
    assert folders
    assert all(folder.startswith("/var/cache/edgefer/") for folder in folders)


def test_the_power_mode_is_the_devices_own(tmp_path: Path) -> None:
    """Its command runs, with a stand-in for NVIDIA's program that tells what it was asked."""
    line = next(line for line in settings(POWER, "Service")["ExecStart"] if "nvpmodel" in line)
    told, nvpmodel = tmp_path / "told", tmp_path / "nvpmodel"
    nvpmodel.write_text(f'#!/bin/sh\nread answer\necho "$@" "$answer" > {told}\n')
    nvpmodel.chmod(0o755)
    script = line.split("'")[1].replace("/usr/sbin/nvpmodel", str(nvpmodel))
    subprocess.run(["/bin/sh", "-c", script], env={"NVPMODEL": "2"}, check=True, timeout=10)
    assert told.read_text() == "-m 2 no\n"
    assert set(programs(POWER)) == {"/bin/sh", "/usr/bin/jetson_clocks"}
