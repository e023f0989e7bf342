"""Checks of the configured camera, without opening it: the daemon may hold it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from edgefer.errors import CameraError, SettingsError
from edgefer_device.system.address import redacted
from edgefer_device.system.check import Check, current_user, fail, ok, warn
from edgefer_device.system.paths import user_path

SECONDS = 3.0
"""Timeout of a network camera."""
DEVICES = Path("/dev")
BOARD = Path("/proc/device-tree/model")
LIST = "list cameras with: edgefer cameras"

Found = list[tuple[str, str | None]]
"""Addresses of cameras, each with what keeps it from being used, or None."""


def check_camera(uri: str, cameras: Found | None = None) -> Check:
    """Check that the camera at an address exists; `cameras` are discovered unless given."""
    from edgefer_device.cameras.opening import camera_address

    try:
        spec = camera_address(uri)
    except SettingsError as exc:
        return fail("camera", str(exc), "use one of these forms")
    if spec.faults is not None:
        return warn("camera", f"{redacted(uri)} simulates faults", "for tests only: remove faulty:")
    if spec.scheme in ("rtsp", "http", "https"):
        return _check_stream(spec.place)
    if spec.scheme in ("file", "images", "demo"):
        return _check_simulated(spec.scheme, spec.place)
    if spec.scheme == "gstreamer" and spec.place:
        return _check_gstreamer()
    return _check_hardware(spec.scheme, spec.place, _discover() if cameras is None else cameras)


def check_stack(model: Path = BOARD) -> Check:
    """Check picamera2, which a Raspberry Pi's own camera needs."""
    board = model.read_text(errors="replace").strip("\0") if model.is_file() else "this machine"
    from edgefer_device.cameras.pi import installed, sensors

    if not installed() and "Raspberry Pi" not in board:
        return ok("camera stack", f"V4L2; {board} needs no picamera2")
    try:
        seen = ", ".join(sensor.model for sensor in sensors())
    except CameraError as exc:
        return warn("camera stack", str(exc), "or use a USB camera")
    return ok("camera stack", f"picamera2 finds {seen or 'no sensor'}")


def check_permission(devices: Path = DEVICES) -> Check:
    """Check that this user may open the cameras under /dev."""
    nodes = sorted(devices.glob("video*"))
    closed = [node for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    if not nodes:
        return ok("permission", f"none needed: no {devices}/video*")
    if not closed:
        return ok("permission", f"{current_user()} may open all {len(nodes)} {devices}/video*")
    try:
        group = closed[0].group()
    except KeyError:  # one without a name
        group = str(closed[0].stat().st_gid)
    found = f"{current_user()} may not open {closed[0]} of group {group}"
    advice = f"run: sudo usermod -aG {group} {current_user()}, then log in again"
    return fail("permission", found, advice)


def _discover() -> Found:
    from edgefer_device.cameras.discovery import find_cameras

    return [(one.address, one.problem) for one in find_cameras() if one.hardware]


def _check_simulated(scheme: str, place: str) -> Check:
    if scheme == "demo":
        from edgefer.portrait import find_portrait

        try:
            find_portrait()
        except CameraError as exc:
            return fail("camera", str(exc), "install it, or name a camera")
    elif not user_path(place).exists():
        return fail("camera", f"{place}: no such file or folder", "name one that exists")
    return warn("camera", f"{scheme}: simulates a camera", f"use a real one for a mirror; {LIST}")


def _check_stream(url: str) -> Check:
    from edgefer_device.cameras.stream import server

    host, port = server(url)
    try:
        socket.create_connection((host, port), SECONDS).close()
    except OSError as exc:
        found = f"{redacted(url)}: {host} port {port} does not respond: {exc.strerror or exc}"
        return fail("camera", found, "check the address, and that the camera is on")
    return ok("camera", f"{redacted(url)}: {host} port {port} responds")


def _check_gstreamer() -> Check:
    from edgefer_device.cameras.gstreamer import INSTALL, absent

    if found := absent():
        return fail("camera", f"gstreamer: {found}", INSTALL)
    return ok("camera", "gstreamer: a custom pipeline; PyGObject is installed")


def _check_hardware(scheme: str, place: str, cameras: Found) -> Check:
    """Match `auto:`, `v4l2:`, `picamera2:` or `gstreamer:` with the cameras found."""
    # A stable name under /dev/v4l is a link to the node that was found.
    where = str(Path(place).resolve()) if scheme == "v4l2" and place else place
    start = "" if scheme == "auto" else f"{scheme}:"
    matching = [
        (address, problem)
        for address, problem in cameras
        if address.startswith(start) and where in ("", address.removeprefix(start))
    ]
    usable = [address for address, problem in matching if problem is None]
    if usable:
        return ok("camera", f"{usable[0]} is present")
    if matching:
        address, problem = matching[0]
        return fail("camera", f"{address} {problem}", LIST)
    others = ", ".join(address for address, _ in cameras)
    advice = f"found: {others}" if others else "plug one in, or seat its ribbon cable"
    return fail("camera", f"{scheme}:{place} not found", f"{advice}; {LIST}")
