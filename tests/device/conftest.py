"""Fixtures for the device's tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.mosquitto import Mosquitto, executable


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets everyone in."""
    with Mosquitto(tmp_path).running() as mosquitto:
        yield mosquitto


@pytest.fixture
def locked_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets in only `mirror` with the password `right`."""
    passwords = tmp_path / "passwords"
    passwords.touch()
    subprocess.run(
        [executable("mosquitto_passwd"), "-b", str(passwords), "mirror", "right"],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    # Started by root it would drop root's rights, and could not read the file.
    settings = f"allow_anonymous false\npassword_file {passwords}\nuser root\n"
    with Mosquitto(tmp_path, settings).running() as mosquitto:
        yield mosquitto
