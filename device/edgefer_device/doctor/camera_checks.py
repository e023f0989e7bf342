"""The camera that is configured, and whether this user may read it. It is not opened: the
daemon may have it."""

from __future__ import annotations

import grp
import os
import socket
from pathlib import Path

from edgefer.errors import CameraError, SettingsError
from edgefer_device.doctor.check import user
from edgefer_device.system.check import Check, fail, ok, warn

SECONDS = 3.0
"""How long a camera in the network may take to answer."""
DEVICES = Path("/dev")
BOARD = Path("/proc/device-tree/model")
LOOK = "see: edgefer cameras"

Seen = list[tuple[str, str | None]]
"""Addresses of cameras, each with what keeps it from being used, or None."""


def check_camera(uri: str, cameras: Seen | None = None) -> Check:
    """The camera stands where the configuration says; `cameras` are looked for where not given."""
    from edgefer_device.cameras.opening import camera_address

    try:
        order = camera_address(uri)
    except SettingsError as exc:
        return fail("camera", str(exc), "write it in one of these forms")
    if order.faults is not None:
        return warn("camera", f"{uri} fails on purpose", "for tests only: leave out faulty:")
    return _placed(order.scheme, order.place, cameras)


def check_stack(model: Path = BOARD) -> Check:
    """The software for a Raspberry Pi's own camera, on a Raspberry Pi."""
    board = model.read_text(errors="replace").strip("\0") if model.is_file() else "this machine"
    from edgefer_device.cameras.pi import installed, sensors

    if not installed() and "Raspberry Pi" not in board:
        return ok("camera stack", f"V4L2; {board} needs no picamera2")
    try:
        seen = ", ".join(sensor.model for sensor in sensors())
    except CameraError as exc:
        return warn("camera stack", str(exc), "or use a USB camera")
    return ok("camera stack", f"picamera2 sees {seen or 'no sensor'}")


def check_permission(devices: Path = DEVICES) -> Check:
    """This user may open the nodes under /dev that are cameras."""
    nodes = sorted(devices.glob("video*"))
    closed = [node for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    if not nodes:
        return ok("permission", f"no {devices}/video* that would need one")
    if not closed:
        return ok("permission", f"{user()} may open all {len(nodes)} of {devices}/video*")
    group = _group(closed[0])
    found = f"{user()} may not open {closed[0]}, which is for the group {group}"
    return fail("permission", found, f"run: sudo usermod -aG {group} {user()}, then log in again")


def _placed(scheme: str, place: str, cameras: Seen | None) -> Check:
    if scheme in ("rtsp", "http", "https"):
        return _stream(place)
    if scheme in ("file", "images", "demo"):
        return _stand_in(scheme, place)
    if scheme == "gstreamer" and place:
        return _pipeline()
    return _hardware(scheme, place, _found() if cameras is None else cameras)


def _found() -> Seen:
    from edgefer_device.cameras.discovery import find_cameras

    return [(one.address, one.problem) for one in find_cameras() if one.hardware]


def _stand_in(scheme: str, place: str) -> Check:
    if scheme == "demo":
        from edgefer_device.cameras.portrait import find_portrait

        try:
            find_portrait()
        except CameraError as exc:
            return fail("camera", str(exc), "install it, or name a camera")
    elif not Path(place).exists():
        return fail("camera", f"{place} is not there", "name a file or folder that is")
    return warn("camera", f"{scheme}: stands in for a camera", f"for a mirror name one; {LOOK}")


def _stream(url: str) -> Check:
    from edgefer_device.cameras.stream import server
    from edgefer_device.system.address import redacted

    host, port = server(url)
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError as exc:
        found = f"{redacted(url)}: {host} port {port} does not answer: {exc.strerror or exc}"
        return fail("camera", found, "check the address, and that the camera is on")
    return ok("camera", f"{redacted(url)}: {host} port {port} answers")


def _pipeline() -> Check:
    from edgefer_device.cameras.gstreamer import INSTALL, absent

    if found := absent():
        return fail("camera", f"gstreamer: {found}", INSTALL)
    return ok("camera", "gstreamer: a pipeline of your own, and Python finds GStreamer")


def _hardware(scheme: str, place: str, cameras: Seen) -> Check:
    """Find what `auto:`, `v4l2:`, `picamera2:` or `gstreamer:` means among the cameras."""
    # A lasting name under /dev/v4l is a link to the node that was found.
    where = str(Path(place).resolve()) if scheme == "v4l2" and place else place
    start = "" if scheme == "auto" else f"{scheme}:"
    meant = [one for one in cameras if one[0] == start + where or not where]
    meant = [one for one in meant if one[0].startswith(start)]
    usable = [address for address, problem in meant if problem is None]
    if usable:
        return ok("camera", f"{usable[0]} is there")
    if meant:
        address, problem = meant[0]
        return fail("camera", f"{address} {problem}", LOOK)
    others = ", ".join(address for address, _ in cameras)
    advice = f"there is: {others}" if others else "plug one in, or seat its ribbon cable"
    return fail("camera", f"{scheme}:{place} finds none", f"{advice}; {LOOK}")


def _group(node: Path) -> str:
    number = node.stat().st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
