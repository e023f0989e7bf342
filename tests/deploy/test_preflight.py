"""What is looked at before a deployment, on hosts that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.errors import HostRefused
from edgefer_device.deploy import preflight
from edgefer_device.deploy.agent import services
from edgefer_device.deploy.connection import Report


class Greeter:
    """A host that prints a text, whatever it is asked for."""

    def __init__(self, text: str = "Welcome!\n") -> None:
        self.text = text

    def run(self, script: str, action: str, report: Report | None = None) -> str:
        return self.text

    def send(self, content: bytes, place: str, mode: int) -> bool:
        raise AssertionError("nothing is sent to a host that is only looked at")


def test_a_host_that_prints_other_text_is_named() -> None:
    with pytest.raises(HostRefused, match=r"^pi@hall: does not tell its kernel: "):
        preflight.inspect(Greeter(), (), "pi@hall")
    facts = "kernel=Linux\nmachine=aarch64\nbits=64\nsystem=Debian\nglibc=2.3k\n"
    with pytest.raises(HostRefused, match=r"^pi@hall: does not tell its (python|glibc): "):
        preflight.inspect(Greeter(f"{facts}system_numpy=\npython=3.11 64\n"), (), "pi@hall")


def test_every_subsystem_of_the_rules_is_triggered() -> None:
    """The rules name both kinds of devices of a camera."""
    rules = Path(__file__).parents[2] / "firmware-config" / "common" / "install"
    asked = {
        word.removeprefix("--subsystem-match=")
        for _, command in services.CONSEQUENCES
        for word in command
        if word.startswith("--subsystem-match=")
    }
    assert {"video4linux", "media"} <= asked
    assert all(f"--subsystem-match={one}" in rules.read_text() for one in asked)
