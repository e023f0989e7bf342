"""A mirror whose network drops every packet and comes back under another address."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt
import pytest

from support.mosquitto import Mosquitto

SPACE, OURS, THEIRS = "edgefer-test", "edgefer-t0", "edgefer-t1"
HERE, BEFORE, AFTER = "10.203.77.1", "10.203.77.2", "10.203.77.3"
OLD_END_SECONDS = 26
"""After which the broker has given up the old connection: one and a half of 15 s, and a little."""
DAEMON = """
import asyncio
from edgefer.messages import Report
from edgefer_device.sinks.mqtt.broker import parse_broker
from edgefer_device.sinks.mqtt.sink import MqttSink
async def main():
    async with MqttSink(parse_broker("mqtt://{host}:{port}/home/mirror")) as sink:
        await sink.publish(Report(0.0, 0, (), None, None))
        await asyncio.Event().wait()
asyncio.run(main())
"""

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and iproute2"
    ),
]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture
def network() -> Iterator[None]:
    """A namespace with one cable to it."""
    ip("netns", "add", SPACE)
    try:
        ip("link", "add", OURS, "type", "veth", "peer", "name", THEIRS, "netns", SPACE)
        ip("addr", "add", f"{HERE}/24", "dev", OURS)
        ip("link", "set", OURS, "up")
        ip("-n", SPACE, "link", "set", THEIRS, "up")
        yield
    finally:
        ip("netns", "del", SPACE)


@contextmanager
def daemon(port: int, address: str) -> Iterator[None]:
    """One in the namespace, at an address; it is killed while nothing reaches the broker."""
    ip("-n", SPACE, "addr", "add", f"{address}/24", "dev", THEIRS)
    program = DAEMON.format(host=HERE, port=port)
    words = ["ip", "netns", "exec", SPACE, sys.executable, "-c", program]
    with subprocess.Popen(words, env={**os.environ, "PYTHONPATH": ":".join(sys.path)}) as process:
        yield
        ip("link", "set", OURS, "down")
        process.kill()
    ip("-n", SPACE, "addr", "flush", "dev", THEIRS)
    ip("link", "set", OURS, "up")


async def heard(messages: asyncio.Queue[str], last: str) -> list[str]:
    """What is said up to a word."""
    said: list[str] = []
    while not said or said[-1] != last:
        said.append(await asyncio.wait_for(messages.get(), 30))
    return said


@pytest.mark.usefixtures("network")
def test_the_end_of_the_old_connection_does_not_stand_over_the_new_one(tmp_path: Path) -> None:
    async def whole(broker: Mosquitto) -> str:
        messages: asyncio.Queue[str] = asyncio.Queue()

        async def listen(client: aiomqtt.Client) -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                messages.put_nowait(message.payload.decode())

        async with aiomqtt.Client(HERE, broker.port, keepalive=3600) as client:
            await client.subscribe("home/mirror/availability", qos=1)
            listener = asyncio.create_task(listen(client))
            with daemon(broker.port, BEFORE):
                await heard(messages, "online")
                cut = time.monotonic()
            with daemon(broker.port, AFTER):
                # The broker had not noticed: the old connection ends when the new one comes.
                assert await heard(messages, "online") == ["offline", "online"]
                assert time.monotonic() - cut < OLD_END_SECONDS - 5
                await asyncio.sleep(cut + OLD_END_SECONDS - time.monotonic())
                assert messages.empty()
            listener.cancel()
        return "well"

    broker = Mosquitto(tmp_path, host=HERE)
    with broker.running():
        assert asyncio.run(whole(broker)) == "well"
