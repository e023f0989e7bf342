"""The rules for cameras and Coral, read by udev itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from support.firmware_files import FIRMWARE, Done, run, settings, tool

RULES = FIRMWARE / "common" / "70-edgefer.rules"
FETCHED = Path(__file__).parents[2] / ".cache" / "udev"
"""Where the Makefile puts a newer udev than Debian 12's, beside the system's."""
OLDEST = 254
"""The first version of udevadm that can verify rules."""


def verify(rules: Path) -> Done:
    """Let udev judge a file of rules."""
    if int(run(tool("udevadm", "udev"), "--version").out) >= OLDEST:
        return run(tool("udevadm", "udev"), "verify", rules)
    newer = FETCHED / "bin" / "udevadm"
    if not newer.is_file():
        pytest.skip(f"udevadm is older than {OLDEST}: make {newer}")
    libraries = next(FETCHED.glob("usr/lib/*/systemd"))
    found = f"LD_LIBRARY_PATH={libraries}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    return run("env", found, newer, "verify", rules)


@pytest.mark.parametrize("rules", sorted(RULES.parent.glob("*.rules")), ids=lambda one: one.name)
def test_udev_reads_them_without_a_word(rules: Path) -> None:
    done = verify(rules)
    assert (done.status, done.err) == (0, ""), done.err


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ('GROUP="video"', 'GRUOP="video"', "Invalid key 'GRUOP'"),
        ('GROUP="video"', 'GROUP="vidoe"', "Unknown group 'vidoe'"),
        ('GOTO="edgefer_end"', 'GOTO="end"', 'GOTO="end" has no matching label'),
        ('MODE="0660"', 'MODE=="0660"', "MODE"),
    ],
)
def test_udev_would_tell_what_is_wrong(
    tmp_path: Path, right: str, wrong: str, complaint: str
) -> None:
    text = RULES.read_text()
    assert right in text
    broken = tmp_path / RULES.name
    broken.write_text(text.replace(right, wrong))
    done = verify(broken)
    assert done.status != 0
    assert complaint in done.err


def test_the_service_is_in_every_group_that_they_name() -> None:
    groups = set(re.findall(r'GROUP="(\w+)"', RULES.read_text()))
    service = settings(FIRMWARE / "common" / "edgefer.service", "Service")
    assert groups == set(" ".join(service["SupplementaryGroups"]).split())


def test_nothing_is_open_to_everybody() -> None:
    assert set(re.findall(r'MODE="(\d+)"', RULES.read_text())) == {"0660"}


def test_the_doctors_coral_is_the_rules_coral() -> None:
    from edgefer_device.doctor.installation import STICKS

    named = re.findall(
        r'ATTRS\{idVendor\}=="(\w+)", ATTRS\{idProduct\}=="(\w+)"', RULES.read_text()
    )
    assert set(named) == set(STICKS)
