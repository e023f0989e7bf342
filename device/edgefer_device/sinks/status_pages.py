"""`/healthz` and `/metrics`: on the mirror's server, or on one of their own (`metrics:`)."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
from aiohttp import web
from typing_extensions import Self

from edgefer.messages import Report
from edgefer_device.pipeline.health import Health
from edgefer_device.sinks.prometheus import Figures, exposition
from edgefer_device.system.paths import state_folder
from edgefer_device.web.access import add_headers, guard, is_loopback
from edgefer_device.web.server import check_port, listen
from edgefer_device.web.token import FILE, Token


def status_routes(health: Health, figures: Figures) -> list[web.RouteDef]:
    """Return the routes of both pages, for any application."""

    async def healthz(_: web.Request) -> web.Response:
        state = health.state()
        status = 200 if state.ok else 503
        body = msgspec.json.format(msgspec.json.encode(state)) + b"\n"
        return web.Response(body=body, status=status, content_type="application/json")

    async def metrics(request: web.Request) -> web.Response:
        accept = request.headers.get("Accept", "")
        # Not on the loop: the first time it imports prometheus-client.
        body, kind = await asyncio.to_thread(exposition, figures, accept)
        return web.Response(body=body, headers={"Content-Type": kind})

    return [web.get("/healthz", healthz), web.get("/metrics", metrics)]


class MetricsSink:
    """Serves the status pages alone, for daemons without a mirror."""

    def __init__(
        self, host: str, port: int, health: Health, figures: Figures, state: Path | None = None
    ) -> None:
        """Remember where to listen; port 0 takes any free one. Raises `SettingsError`.

        In the folder `state` lies the token that other machines must show.
        """
        check_port(port, "metrics")
        self.host, self.port = host, port
        self._state = state or state_folder(None)
        self._routes = status_routes(health, figures)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        token = None if is_loopback(self.host) else Token.of(self._state)
        application = web.Application(middlewares=[guard(self.host, token)])
        application.on_response_prepare.append(add_headers)
        application.add_routes(self._routes)
        self._runner = await listen(application, self.host, self.port, "metrics")
        self.port = self._runner.addresses[0][1]
        if token is not None:
            where = f"metrics on {self.host} port {self.port}: other machines need the token in"
            print(f"{where} {self._state / FILE}", file=sys.stderr, flush=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def publish(self, report: Report) -> None:
        """Do nothing: what is told is counted by `Figures`, once for all servers."""
