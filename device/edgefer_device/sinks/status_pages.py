"""`/healthz` and `/metrics`: on the mirror's server, or on one of their own (`metrics:`)."""

from __future__ import annotations

import asyncio
import logging

import msgspec
from aiohttp import web
from typing_extensions import Self

from edgefer.messages import Report
from edgefer_device.pipeline.health import Health
from edgefer_device.sinks.prometheus import Metrics, exposition
from edgefer_device.web.server import WebServer

log = logging.getLogger(__name__)


def status_routes(health: Health, metrics: Metrics) -> list[web.RouteDef]:
    """Return the routes of both pages, for any server."""

    async def serve_health(_: web.Request) -> web.Response:
        state = health.state()
        status = 200 if state.ok else 503
        body = msgspec.json.format(msgspec.json.encode(state)) + b"\n"
        return web.Response(body=body, status=status, content_type="application/json")

    async def serve_metrics(request: web.Request) -> web.Response:
        accept = request.headers.get("Accept", "")
        # Not on the loop: the first time it imports prometheus-client.
        body, kind = await asyncio.to_thread(exposition, metrics, accept)
        return web.Response(body=body, headers={"Content-Type": kind})

    return [web.get("/healthz", serve_health), web.get("/metrics", serve_metrics)]


class MetricsSink:
    """Serve the status pages alone, for daemons without a mirror."""

    def __init__(self, server: WebServer) -> None:
        self.server = server

    async def __aenter__(self) -> Self:
        await self.server.start()
        if (path := self.server.token_file) is not None:
            where = f"metrics on {self.server.host} port {self.server.port}"
            log.info("%s: other machines need the token in %s", where, path)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()

    async def publish(self, report: Report) -> None:
        """Do nothing: `Metrics` counts reports, once for all servers."""
