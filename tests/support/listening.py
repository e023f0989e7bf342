"""What is said on a broker, heard by another client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt

from support.mosquitto import Mosquitto

SECONDS = 20.0
"""Time after which a test gives up on a message."""


class Listener:
    """Hears what is published under a prefix, and can ask."""

    def __init__(self, client: aiomqtt.Client, prefix: str) -> None:
        self._client, self._prefix = client, prefix
        self._messages = client.messages

    async def next(self) -> tuple[str, Any, bool]:
        """Topic without the prefix, payload (JSON where it is), and whether it was retained."""
        message = await asyncio.wait_for(anext(aiter(self._messages)), SECONDS)
        assert isinstance(message.payload, bytes)
        text = message.payload.decode()
        topic = str(message.topic).removeprefix(f"{self._prefix}/")
        return topic, json.loads(text) if text.startswith("{") else text, message.retain

    async def until(self, topic: str, value: object) -> None:
        """Wait for a message with this payload."""
        await self.where(topic, lambda said: said == value)

    async def where(self, topic: str, holds: Callable[[Any], bool]) -> Any:
        """Wait for a message of which something holds; return its payload."""
        while True:
            name, said, _ = await self.next()
            if name == topic and holds(said):
                return said

    async def moods_until_offline(self) -> list[str | None]:
        """The moods that are told, up to the farewell."""
        moods: list[str | None] = []
        while (message := await self.next())[:2] != ("availability", "offline"):
            if message[0] == "state":
                moods.append(message[1]["mood"])
        return moods

    async def ask(self, topic: str, payload: str, retain: bool = False) -> None:
        """Publish under the prefix, or at `/topic` anywhere."""
        whole = topic[1:] if topic.startswith("/") else f"{self._prefix}/{topic}"
        await self._client.publish(whole, payload, qos=1, retain=retain)


@asynccontextmanager
async def listening(mosquitto: Mosquitto, prefix: str, *others: str) -> AsyncIterator[Listener]:
    """Listen under a prefix, and to other topics."""
    async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
        for topic in (f"{prefix}/#", *others):
            await client.subscribe(topic, qos=1)
        yield Listener(client, prefix)
