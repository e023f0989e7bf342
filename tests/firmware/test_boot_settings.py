"""What a Raspberry Pi's firmware is told.

The firmware is the only program that reads `config.txt`, and it runs on the board alone: what
is held here is its documented grammar, so that a line it would pass over in silence is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from support.firmware_files import FIRMWARE

LONGEST = 98
"""Characters of a line that the firmware reads (config_txt.html, File format)."""
FILTERS = {"all", "none", "pi3", "pi4", "pi5", "cm4", "cm5"}
"""Those that these files may need, of config_txt.html, Conditional filters."""
OPTIONS = {
    "arm_64bit",
    "camera_auto_detect",
    "disable_splash",
    "dtoverlay",
    "dtparam",
    "hdmi_force_hotplug",
    "kernel",
    "max_framebuffers",
}
"""Names that were looked up in config_txt.html; a new one is added here after the same."""
OVERLAYS = {"vc4-kms-v3d": set(), "pciex1-compat-pi5": {"no-mip"}}
"""With their parameters, as in github.com/raspberrypi/firmware, boot/overlays/README."""
PARAMETERS = {"pciex1"}


@dataclass(frozen=True)
class Line:
    """One setting, and for which boards."""

    board: str
    name: str
    value: str


def read(path: Path) -> list[Line]:
    """Read a file as the firmware does, but refuse what it would ignore."""
    board, lines = "all", []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.name}:{number}: {text}"
        if not text or text.startswith("#"):
            continue
        assert len(text) <= LONGEST, where
        if text.startswith("["):
            board = text.strip("[]")
            assert board in FILTERS, where
            continue
        name, equals, value = text.partition("=")
        assert equals, where
        assert " " not in text, where
        assert name in OPTIONS, where
        check_tree(name, value, where)
        lines.append(Line(board, name, value))
    assert board == "all", f"{path.name}: what follows it would be for {board} alone"
    return lines


def check_tree(name: str, value: str, where: str) -> None:
    """Refuse an overlay or a parameter of the device tree that is not known."""
    if name == "dtoverlay":
        overlay, *parameters = value.split(",")
        assert overlay in OVERLAYS, where
        assert set(parameters) <= OVERLAYS[overlay], where
    if name == "dtparam":
        assert value.partition("=")[0] in PARAMETERS, where


def test_the_camera_is_found_and_the_system_has_64_bits() -> None:
    lines = read(FIRMWARE / "rpi" / "config.txt")
    assert Line("all", "camera_auto_detect", "1") in lines
    assert Line("all", "arm_64bit", "1") in lines


def test_coral_is_for_the_pi_5_alone() -> None:
    lines = read(FIRMWARE / "rpi-coral" / "config.txt")
    assert set(lines) == {
        Line("pi5", "dtparam", "pciex1"),
        Line("pi5", "kernel", "kernel8.img"),
        Line("pi5", "dtoverlay", "pciex1-compat-pi5,no-mip"),
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("camera_autodetect=1", "camera_autodetect"),
        ("[pi6]\nkernel=kernel8.img\n[all]", r"\[pi6\]"),
        ("kernel = kernel8.img", "kernel = kernel8"),
        ("dtoverlay=pciex1-compat-pi5,nomip", "nomip"),
        ("[pi5]\nkernel=kernel8.img", "for pi5 alone"),
    ],
)
def test_what_the_firmware_would_ignore_is_refused(tmp_path: Path, text: str, why: str) -> None:
    config = tmp_path / "config.txt"
    config.write_text(text)
    with pytest.raises(AssertionError, match=why):
        read(config)
