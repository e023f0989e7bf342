"""The daemon's unit in a running system: started, watched, closed, and back after each fall."""

from __future__ import annotations

import json
import re

import pytest

from rig.card import PLACE
from rig.container import Device
from rig.deployment import EDGEFER, STATE

UNIT = "edgefer.service"
DROPIN = f"/run/systemd/system/{UNIT}.d"
WELL = f"systemctl -q is-active {UNIT} && {EDGEFER} status"


def pid(device: Device) -> int:
    return int(device.property(UNIT, "MainPID"))


def restarts(device: Device) -> int:
    return int(device.property(UNIT, "NRestarts"))


def wait_until_back(device: Device, before: int) -> None:
    """Wait until systemd has started it anew, and it says that it is well."""
    device.wait(f"[ $(systemctl show --value -p NRestarts {UNIT}) -gt {before} ]")
    device.wait(WELL)


def test_the_first_boot_leaves_it_running(device: Device) -> None:
    assert device.state(UNIT) == "active"
    assert device.check(f"systemctl is-enabled {UNIT}").strip() == "enabled"
    device.wait(f"systemctl show -p StatusText {UNIT} | grep -q 'a face in view'")
    device.check("test -e /var/lib/edgefer-first-boot.done")


def test_a_second_first_boot_changes_no_file(device: Device) -> None:
    listing = "find /etc /usr/local -type f -printf '%p %T@ %m %s\n' | sort"
    before = device.check(listing)
    said = device.check(f"sh /{PLACE}/first-boot debian --broker", seconds=600)
    assert (said.strip(), device.check(listing)) == ("first-boot: done", before)


def test_a_mood_comes_over_its_own_broker(device: Device) -> None:
    device.wait(f"""{STATE} | grep -q '"mood":"happy"'""")
    assert json.loads(device.check(STATE))["faces"] == 1


def test_the_broker_takes_no_stranger(device: Device) -> None:
    done = device.ssh("mosquitto_sub -W 5 -t edgefer/state -C 1")
    assert done.status != 0
    assert "not authorised" in done.err


def test_the_page_answers(device: Device) -> None:
    told = json.loads(device.check(f"{EDGEFER} status --json"))
    fetch = f"import urllib.request as r; print(r.urlopen('{told['page']}').read().decode())"
    assert "<title>" in device.check(f'python3 -c "{fetch}"')


def test_systemd_waits_for_its_word(device: Device) -> None:
    """Type=notify: what runs but does not say that it is ready is not started."""
    mute = "[Service]\nExecStart=\nExecStart=/bin/sleep 600\nTimeoutStartSec=3\nRestart=no\n"
    with_dropin(device, mute)
    try:
        assert device.ssh(f"systemctl restart {UNIT}").status != 0
        assert device.property(UNIT, "Result") == "timeout"
    finally:
        without_dropin(device)
    assert device.state(UNIT) == "active"


def test_it_comes_back_after_a_crash(device: Device) -> None:
    before, count = pid(device), restarts(device)
    device.check(f"kill -SEGV {before}")
    wait_until_back(device, count)
    assert pid(device) != before
    # The trace of each thread, in place of a core dump.
    assert "Fatal Python error" in device.check(f"journalctl -u {UNIT} _PID={before}")


def test_the_watchdog_ends_one_that_hangs(device: Device) -> None:
    with_dropin(device, "[Service]\nWatchdogSec=5\n")
    try:
        device.check(f"systemctl restart {UNIT}")
        before, count = pid(device), restarts(device)
        device.check(f"kill -STOP {before}")
        wait_until_back(device, count)
        assert pid(device) != before
        assert "Watchdog timeout" in device.check(f"journalctl -u {UNIT} --since=-2min")
    finally:
        without_dropin(device)


def test_a_reload_keeps_the_process(device: Device) -> None:
    before = pid(device)
    device.check("sed -i 's/^# threshold = .*/threshold = 0.35/' /etc/edgefer/edgefer.toml")
    device.check(f"systemctl reload {UNIT}")
    device.wait(WELL)
    assert (pid(device), device.state(UNIT)) == (before, "active")


def test_it_leaves_little_open(device: Device) -> None:
    said = device.check(f"systemd-analyze security --no-pager {UNIT}")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None, said
    assert float(found[1]) < 2.0


def test_its_process_has_no_privilege(device: Device) -> None:
    status = device.check(f"cat /proc/{pid(device)}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    held = [fields[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")]
    assert held == ["0" * 16] * 5
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    assert "0" not in fields["Uid"].split()


@pytest.mark.parametrize("place", ["/etc", "/usr", "/opt/edgefer", "/home", "/var/lib", "/boot"])
def test_where_it_cannot_write(device: Device, place: str) -> None:
    inside = f"nsenter --target {pid(device)} --mount -- touch {place}/edgefer-was-here"
    done = device.ssh(inside)
    assert done.status != 0
    assert "Read-only file system" in done.err or "Permission denied" in done.err


def test_its_secret_is_its_own(device: Device) -> None:
    secret = "/run/credentials/edgefer.service/mqtt-password"
    same = f"nsenter --target {pid(device)} --mount -- cmp {secret} /etc/edgefer/mqtt-password"
    device.check(same)
    # Whoever else is on the device sees neither.
    for path in (secret, "/etc/edgefer/mqtt-password"):
        assert "Permission denied" in device.ssh(f"cat {path}", user="pi").err


def test_it_is_back_after_a_reboot(device: Device) -> None:
    booted_at = "systemctl show --value -p UserspaceTimestampMonotonic"
    before = device.check(booted_at).strip()
    device.ssh("systemctl reboot")
    device.wait(f'[ "$({booted_at})" != {before} ] && {WELL}')
    assert device.state("mosquitto") == "active"


def with_dropin(device: Device, text: str) -> None:
    device.check(f"mkdir -p {DROPIN}; printf '{text}' >{DROPIN}/test.conf; systemctl daemon-reload")


def without_dropin(device: Device) -> None:
    device.check(f"rm -r {DROPIN}; systemctl daemon-reload; systemctl restart {UNIT}")
