"""`edgefer cameras`: which cameras this machine has, and how each is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.table import Table

from edgefer.errors import CameraError, CameraNotFound
from edgefer.portrait import find_portrait
from edgefer.terminal import Terminal, styled
from edgefer_device.cameras.gstreamer import INSTALL, JETSON, absent
from edgefer_device.cameras.pi import sensors
from edgefer_device.cameras.v4l2 import (
    DEVICES,
    NO_CAMERAS,
    Device,
    Mode,
    nodes,
    permission_advice,
    query,
    usable,
)

NAMES = Path("/sys/class/video4linux")
"""Where the kernel lists the names of devices, even of those that may not be opened."""

HELP = (
    "no camera found: plug in a USB camera, or seat the ribbon cable and install picamera2; "
    "then run this again, or `edgefer doctor`"
)


class Found(msgspec.Struct, frozen=True):
    """One camera."""

    address: str
    """What `--camera` takes."""
    name: str
    hardware: bool
    """Whether it is a real camera."""
    problem: str | None = None
    """Why it cannot be used now, and what to do; None where it can."""
    lasting: str | None = None
    """An address that stays the same however cameras are plugged in; None where there is none."""
    modes: tuple[Mode, ...] = ()
    """What it offers; empty where unknown."""


def find_cameras(devices: Path = DEVICES, names: Path = NAMES) -> list[Found]:
    """Return the cameras of this machine, those that `auto:` would take first, then `demo:`."""
    return [*_ribbon(), *_kernel(devices, names), *_jetson(), _demo()]


def _ribbon() -> Iterator[Found]:
    try:
        found = sensors()
    except CameraError:
        return
    for sensor in found:
        if sensor.ribbon:
            yield Found(f"picamera2:{sensor.number}", sensor.model, True)


def _kernel(devices: Path, names: Path) -> Iterator[Found]:
    for path in nodes(devices):
        address, lasting = f"v4l2:{path}", _lasting(path, devices)
        try:
            device = query(path)
        except PermissionError:
            listed = names / path.name / "name"
            name = listed.read_text(errors="replace").strip() if listed.is_file() else "unknown"
            yield Found(address, name, True, f"may not be opened; {permission_advice()}", lasting)
            continue
        except OSError:
            continue
        if device is not None and device.captures and device.driver not in NO_CAMERAS:
            yield Found(address, device.name, True, _unusable(device), lasting, device.modes)


def _lasting(path: Path, devices: Path) -> str | None:
    """Return the address by the camera's serial number, which udev links to its node."""
    links = sorted((devices / "v4l" / "by-id").glob("*"))
    return next((f"v4l2:{link}" for link in links if link.resolve() == path.resolve()), None)


def _unusable(device: Device) -> str | None:
    if usable(device):
        return None
    formats = ", ".join(dict.fromkeys(mode.format for mode in device.modes)) or "no format"
    return f"gives {formats} only, which OpenCV cannot read; try picamera2: or gstreamer:"


def _jetson() -> Iterator[Found]:
    if JETSON.exists():
        missing = absent()
        problem = f"{missing}; {INSTALL}" if missing else None
        yield Found("gstreamer:", "CSI camera of a Jetson, if one is plugged in", True, problem)


def _demo() -> Found:
    name = "a moving portrait, always there"
    try:
        find_portrait()
    except CameraNotFound as exc:
        return Found("demo:", name, False, str(exc))
    return Found("demo:", name, False)


def show(found: list[Found]) -> None:
    """Print cameras as a table, the sizes of each format on one line."""
    table = Table("address", "camera", "formats: sizes, most frames a second")
    for one in found:
        notes = [(one.lasting, "dim"), (one.problem, "yellow")]
        lines = styled(one.name, *((f"\n{text}", style) for text, style in notes if text))
        table.add_row(one.address, lines, "\n".join(_formats(one)))
    Terminal().print(table)


def _formats(found: Found) -> list[str]:
    """Return a line for each format: `MJPG  640x480 30, 1280x720 30`."""
    lines: dict[str, list[str]] = {}
    for mode in found.modes:
        rate = f" {mode.rates[0]:g}" if mode.rates else ""
        lines.setdefault(mode.format, []).append(f"{mode.width}x{mode.height}{rate}")
    return [f"{name}  {', '.join(sizes)}" for name, sizes in lines.items()]
