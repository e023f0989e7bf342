"""Who may read the mirror page: the checks on Host, Origin and token, and the headers."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edgefer_device.web.token import Token

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The page loads its own files and talks to its own server; the browser refuses all else."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # A mirror hangs for months: after an update the next load must not run old modules.
    "Cache-Control": "no-cache",
}


NO_TOKEN = "this page asks for a token; on its own machine `edgefer status` tells the address\n"


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_own_name(authority: str, bound: str) -> bool:
    """Tell whether a Host header names this machine.

    A foreign page can point its own DNS name at this address (DNS rebinding) and then
    counts as same-origin; the name in the Host header is what gives it away. So a
    number is believed, and of names only the one bound to and this machine's own.
    """
    host = _hostname(authority)
    if host is None:
        return False
    own = socket.gethostname().lower()
    if host in {"localhost", bound.lower(), own, f"{own}.local"}:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_same_origin(origin: str | None, authority: str) -> bool:
    """Tell whether a WebSocket may open; programs send no Origin, browsers always do."""
    return origin is None or urlsplit(origin).netloc.lower() == authority.lower()


def guard(bound: str, token: Token | None = None) -> Middleware:
    """Return the middleware that turns strangers away.

    `bound` is the host listened on, `token` what those from other machines must show; None
    asks for nothing.
    """

    @web.middleware
    async def refuse_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own_name(request.host, bound):
            raise web.HTTPMisdirectedRequest(text="this mirror has another name\n")
        if not is_same_origin(request.headers.get("Origin"), request.host):
            raise web.HTTPForbidden(text="only the mirror's own page may connect\n")
        if token is None or token.admits(request):
            return await handler(request)
        if (exchanged := token.exchanged(request)) is not None:
            return exchanged
        raise web.HTTPUnauthorized(text=NO_TOKEN, headers={"WWW-Authenticate": "Bearer"})

    return refuse_strangers


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on an answer (aiohttp's `on_response_prepare`)."""
    response.headers.update(HEADERS)


def _hostname(authority: str) -> str | None:
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None
