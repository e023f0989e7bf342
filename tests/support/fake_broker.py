"""A broker that takes everything and then sends what no broker should."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

CONNECT, PUBLISH, SUBSCRIBE = 0x10, 0x30, 0x80
CONNACK = b"\x20\x02\x00\x00"


class FakeBroker:
    """Counts its connections; each gets `packet` after its subscriptions, or before all else."""

    def __init__(self, packet: bytes, at_once: bool = False) -> None:
        self._packet, self._at_once = packet, at_once
        self.port = self.connections = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FakeBroker]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                kind, body = await self._read(reader)
                if kind == CONNECT:
                    writer.write(self._packet * 2 if self._at_once else CONNACK)
                elif kind == SUBSCRIBE:
                    writer.write(b"\x90\x03" + body[:2] + b"\x01")
                elif kind == PUBLISH:
                    length = int.from_bytes(body[:2], "big") + 2
                    writer.write(b"\x40\x02" + body[length : length + 2] + self._packet * 2)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        """Return a packet's type and the rest behind its length."""
        kind, length, shift = (await reader.readexactly(1))[0] & 0xF0, 0, 0
        while True:
            (byte,) = await reader.readexactly(1)
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return kind, await reader.readexactly(length)
