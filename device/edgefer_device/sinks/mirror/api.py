"""`/api/state`: what is seen now, for other programs; read once, or by WebSocket with each change.

The page's own WebSocket changes with the page; this one has a version.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from edgefer_device.sinks.mirror.messages import View

VERSION = 1
"""Raised when a client of the version before would misread a message; a new key is no reason."""
PATH = "/api/state"


class State(msgspec.Struct, frozen=True):
    """The JSON of `/api/state`. No image, no box, no identity."""

    mood: str | None = None
    """The label, or `unknown`; None without a face."""
    confidence: float | None = None
    """Smoothed probability of `mood`, 0..1, in whole percents."""
    reason: str | None = None
    """Why `mood` is `unknown`: `unsure`, `small`, `dark`, `bright`, `blurred` or `turned`."""
    faces: int = 0
    paused: bool = False
    """Whether the camera is closed on request."""
    problem: str | None = None
    """What is missing: `camera` while it gives no frames."""
    version: int = VERSION

    @classmethod
    def of(cls, view: View | None, paused: bool) -> State:
        """Return the state of what is seen now; None while nothing is."""
        if view is None:
            return cls(paused=paused, problem=None if paused else "camera")
        return cls(view.mood, view.confidence, view.reason, view.faces)


def check_version(request: web.Request) -> None:
    """Raise HTTP 400 for a client that asks for another version (`?version=`)."""
    asked = request.query.get("version", str(VERSION))
    if asked != str(VERSION):
        raise web.HTTPBadRequest(
            text=f"this daemon speaks version {VERSION} of {PATH}, not {asked[:20]!a}:"
            " update the older of the two\n"
        )


def wants_socket(request: web.Request) -> bool:
    """Return whether a request is to become a WebSocket."""
    try:
        return bool(web.WebSocketResponse().can_prepare(request))
    except ValueError:
        return True  # malformed: whoever prepares it refuses it
