"""Listening on an address: a web application served, or one line that says why not."""

from __future__ import annotations

import os

from aiohttp import web

from edgefer.errors import ServerError, SettingsError

HIGHEST_PORT = 65535


def check_port(port: int, what: str) -> None:
    """Raise `SettingsError` for a port that cannot be; 0 takes any free one."""
    if not 0 <= port <= HIGHEST_PORT:
        raise SettingsError(f"{what}: port must be 0..{HIGHEST_PORT}, got {port}")


async def listen(application: web.Application, host: str, port: int, what: str) -> web.AppRunner:
    """Serve an application until the runner's `cleanup`; `what` names it to a person.

    Raises `ServerError` where nobody can listen there.
    """
    # A browser keeps a spare connection open that says nothing: no reason to wait at the end.
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as exc:
        await runner.cleanup()
        raise ServerError(
            f"{what}: cannot listen on {host} port {port}: {_reason(exc)};"
            " choose another port or host, or end the program that holds it"
        ) from exc
    return runner


def _reason(exc: OSError) -> str:
    # asyncio words these errors at length, so the system's own word; resolver errors
    # carry negative numbers that it does not know.
    number = exc.errno or 0
    return os.strerror(number) if number > 0 else exc.strerror or str(exc)
