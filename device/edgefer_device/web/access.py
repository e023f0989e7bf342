"""Who may read a page: the checks on Host, Origin and token, and the security headers."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edgefer.errors import StateError
from edgefer.files import write_atomic

log = logging.getLogger(__name__)

DIRECTIVES = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""The page loads its own files and talks to its own server; the browser refuses all else."""

HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # A mirror hangs for months: after an update the next load must not run old modules.
    "Cache-Control": "no-cache",
}

ASK = "run `edgefer status` on its own machine for the address with it\n"
NO_TOKEN = f"this page needs a token; {ASK}"
WRONG_TOKEN = f"this token is not the page's; {ASK}"
TOKEN_FILE = "page-token"
"""Its name in the state folder."""
PARAMETER = "token"
"""In the address: `http://mirror:8137/?token=...`."""
TOKEN_BYTES = 24
SHORTEST = 16
YEAR = 365 * 24 * 3600
FORWARDED = re.compile(
    r"via|forwarded.*|x-forwarded.*|x-original-.*|x-envoy-.*|cf-.*|tailscale-.*|x-proxyuser-ip"
    r"|.*(client|connecting|cluster|real)-?ip",
    re.IGNORECASE,
)
"""Headers of a proxy: behind one, everybody seems to come from this machine."""


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_own_name(authority: str, bound: str, hosts: Collection[str] = ()) -> bool:
    """Return whether a Host header names this machine; `hosts` are further names.

    A foreign page can point its own DNS name at this address (DNS rebinding) and then
    counts as same-origin; the name in the Host header is what gives it away. So a
    number is trusted, and of names only the one bound to, this machine's own and those
    configured.
    """
    host = _host_of(f"//{authority}")
    if host is None:
        return False
    own = socket.gethostname().lower()
    if host in {"localhost", bound.lower(), own, f"{own}.local", *hosts}:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_same_origin(origin: str | None, authority: str, hosts: Collection[str] = ()) -> bool:
    """Return whether a WebSocket may open; programs send no Origin, browsers always do.

    A proxy may send a Host of its own: then the page's is one of `hosts`.
    """
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == authority.lower() or _host_of(origin) in hosts
    except ValueError:
        return False


def is_from_here(request: web.Request, hosts: Collection[str] = ()) -> bool:
    """Return whether a request comes from this machine itself, and not through a proxy on it."""
    return (
        request.remote is not None
        and is_loopback(request.remote)
        and not any(FORWARDED.fullmatch(name) for name in request.headers)
        and _host_of(f"//{request.host}") not in hosts
    )


class Token:
    """Admit who has the token: by the address once, by a cookie from then on, or by a header."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    @classmethod
    def load(cls, folder: Path) -> Token:
        """Return the token of a state folder, made if missing or too short; raise `StateError`."""
        path = folder / TOKEN_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            secret = path.read_text().strip() if path.exists() else ""
            if len(secret) < SHORTEST:
                if path.exists():
                    log.warning("%s: too short for a token; it is made anew", path)
                secret = secrets.token_urlsafe(TOKEN_BYTES)
                write_atomic(path, secret + "\n", 0o600)
        except (OSError, UnicodeDecodeError) as exc:
            why = getattr(exc, "strerror", None) or exc
            raise StateError(f"{path}: cannot store the page's token: {why}") from exc
        return cls(secret)

    def admits(self, request: web.Request) -> bool:
        """Return whether a request shows the token, in a header or a cookie."""
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.matches(request.cookies.get(cookie_name(request), "")) or self.matches(bearer)

    def matches(self, text: str) -> bool:
        """Return whether a text is the token, in a time that does not depend on the text."""
        # Bytes of a header that are no UTF-8 come as surrogates, which have no encoding.
        return hmac.compare_digest(text.encode(errors="replace"), self.secret.encode())

    def exchange(self, request: web.Request, framed: bool) -> web.Response | None:
        """Return the redirect that moves the token from the address into a cookie.

        None where the address has none, or a wrong one. In a frame of another site (`framed`)
        browsers keep a cookie only if it came by TLS and says that it is meant so.
        """
        if request.method != "GET" or not self.matches(request.query.get(PARAMETER, "")):
            return None
        secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
        response = web.Response(status=303, headers={"Location": request.path})
        response.set_cookie(
            cookie_name(request),
            self.secret,
            max_age=YEAR,
            httponly=True,
            samesite="None" if framed and secure else "Strict",
            secure=secure,
        )
        return response

    def refusal(self, request: web.Request) -> str:
        """Return what to tell who is not admitted: whether a token was shown at all."""
        shown = "Authorization" in request.headers or PARAMETER in request.query
        return WRONG_TOKEN if shown or cookie_name(request) in request.cookies else NO_TOKEN


def cookie_name(request: web.Request) -> str:
    """Return the cookie's name: a browser keeps one jar for all ports of a host."""
    _, _, port = request.host.rpartition(":")
    return f"edgefer-{port}" if port.isascii() and port.isdecimal() else "edgefer"


def guard(
    bound: str,
    token: Callable[[], Token] | None = None,
    hosts: Collection[str] = (),
    framed: bool = False,
) -> Middleware:
    """Return the middleware that refuses foreign hosts, origins and, with a token, strangers.

    `bound` is the host listened on, `hosts` are names by which a proxy is reached; without a
    token everybody who reaches it may read. It is loaded for the first who must show it.
    With `framed` the page may stand in a frame of another site.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own_name(request.host, bound, hosts):
            raise web.HTTPMisdirectedRequest(
                text="unknown host name: use the name or the address of this machine,"
                " or add the name to [mirror] hosts\n"
            )
        if not is_same_origin(request.headers.get("Origin"), request.host, hosts):
            raise web.HTTPForbidden(text="cross-origin request: only the page itself may connect\n")
        if token is None or is_from_here(request, hosts):
            return await handler(request)
        try:
            required = token()
        except StateError as exc:
            log.warning("%s", exc)
            raise web.HTTPServiceUnavailable(text="the page's token cannot be read\n") from exc
        if required.admits(request):
            return await handler(request)
        if (redirect := required.exchange(request, framed)) is not None:
            return redirect
        text = required.refusal(request)
        raise web.HTTPUnauthorized(text=text, headers={"WWW-Authenticate": "Bearer"})

    return check


def security_headers(
    frame_ancestors: Collection[str] = (),
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Return what sets the headers of each response (aiohttp's `on_response_prepare`).

    Pages of the origins in `frame_ancestors` may show this one in a frame.
    """
    ancestors = " ".join(frame_ancestors) or "'none'"
    policy = f"{DIRECTIVES}; frame-ancestors {ancestors}"
    headers = {"Content-Security-Policy": policy, **HEADERS}

    async def set_headers(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    return set_headers


def _host_of(url: str) -> str | None:
    """Return the host of an address in lower case; None where it has none that can be read."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
