"""The token of the mirror page, for whoever comes from another machine."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

from aiohttp import web

from edgefer.errors import StateError

FILE = "page-token"
"""Its name in the state folder."""
PARAMETER = "token"
"""In the address: `http://mirror:8137/?token=...`."""
BYTES = 24
SHORTEST = 16
YEAR = 365 * 24 * 3600
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
"""Headers of a proxy: behind one, everybody seems to come from this machine."""


class Token:
    """Lets in who has it: by the address once, by a cookie from then on, or by a header."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    @classmethod
    def of(cls, folder: Path) -> Token:
        """Return the token of a state folder, made where there is none; raise `StateError`."""
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                kept = path.read_text().strip()
            except FileNotFoundError:
                kept = _make(path)
        except (OSError, UnicodeDecodeError) as exc:
            why = getattr(exc, "strerror", None) or exc
            raise StateError(f"{path}: the page's token cannot be kept: {why}") from exc
        if len(kept) < SHORTEST:
            raise StateError(f"{path}: too short for a token; delete the file and start again")
        return cls(kept)

    def admits(self, request: web.Request) -> bool:
        """Whether a request may pass; whoever sits at this machine itself may."""
        if _is_local(request):
            return True
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        cookie = request.cookies.get(cookie_name(request), "")
        return self.is_right(cookie) or self.is_right(bearer)

    def is_right(self, shown: str) -> bool:
        """Whether a text is the token; takes as long for a wrong one as for the right one."""
        return hmac.compare_digest(shown.encode(), self.secret.encode())

    def exchanged(self, request: web.Request) -> web.Response | None:
        """Return the answer that takes the token out of the address and leaves a cookie.

        None where the address has none, or a wrong one.
        """
        if request.method != "GET" or not self.is_right(request.query.get(PARAMETER, "")):
            return None
        answer = web.Response(status=303, headers={"Location": request.path})
        answer.set_cookie(
            cookie_name(request),
            self.secret,
            max_age=YEAR,
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        return answer


def cookie_name(request: web.Request) -> str:
    """Return the cookie's name: a browser keeps one jar for all ports of a host."""
    _, _, port = request.host.rpartition(":")
    return f"edgefer-{port}" if port.isdecimal() else "edgefer"


def _is_local(request: web.Request) -> bool:
    from edgefer_device.web.access import is_loopback

    proxied = any(name in request.headers for name in FORWARDED)
    return not proxied and request.remote is not None and is_loopback(request.remote)


def _make(path: Path) -> str:
    secret = secrets.token_urlsafe(BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
    return secret
