"""The state of every device of a fleet: over SSH from each, over MQTT from the broker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import msgspec

from edgefer.errors import BrokerError, EdgeferError
from edgefer.messages import NOT_JSON
from edgefer_device.deploy.agent.messages import DaemonStatus
from edgefer_device.deploy.agent_client import Agent, parsed
from edgefer_device.deploy.connection import Remote, Report
from edgefer_device.deploy.deployment import Connect
from edgefer_device.deploy.host_pool import run_on_hosts

STATUS = """
systemctl is-active edgefer
STATE_DIRECTORY=/var/lib/edgefer /opt/edgefer/current/bin/edgefer status --json 2>/dev/null
true
"""


class DeviceStatus(msgspec.Struct, frozen=True):
    """The status of one device; a line of `edgefer fleet status --json`."""

    device: str
    """Its address, or its topic."""
    ok: bool
    release: str | None
    """None over MQTT: a broker does not know it."""
    version: str | None
    mood: str | None
    note: str
    """What is wrong, or how it is, in words."""


class RetainedState(msgspec.Struct, frozen=True):
    """What is needed of the topic `state`."""

    mood: str | None
    problem: str | None = None
    paused: bool = False


class RetainedDiagnostics(msgspec.Struct, frozen=True):
    """What is needed of the topic `diagnostics`."""

    version: str | None = None


Message = TypeVar("Message", RetainedState, RetainedDiagnostics)


def over_ssh(hosts: Sequence[tuple[str, Connect]]) -> list[DeviceStatus]:
    """Return the status of every device, from several at a time."""
    tasks = [(host, partial(_status, host, connect)) for host, connect in hosts]
    return run_on_hosts(tasks, lambda host, line: None)


def _status(host: str, connect: Connect, _: Report) -> DeviceStatus:
    try:
        with connect() as remote:
            running = Agent(remote, host).releases().running
            active, status = _daemon(remote)
    except EdgeferError as exc:
        return DeviceStatus(host, False, None, None, None, str(exc).removeprefix(f"{host}: "))
    if status is None:
        note = f"the service is {active}" if running else "nothing is deployed there"
        return DeviceStatus(host, False, running, None, None, note)
    note = status.faults or ("paused" if status.paused else f"{status.analysed} frames")
    return DeviceStatus(host, status.ok, running, status.version, status.mood, note)


def _daemon(remote: Remote) -> tuple[str, DaemonStatus | None]:
    """Return systemd's state of the service, and the daemon's status, if it reports one."""
    action = "reading its status"
    active, *lines = remote.run(STATUS, action).splitlines() or ["unknown"]
    return active, parsed(DaemonStatus, lines[0], action) if lines else None


def over_mqtt(uri: str, seconds: float) -> list[DeviceStatus]:
    """Return what a broker retains of every device; raise `BrokerError` where it lets nobody in.

    `uri` is `mqtt://[USER:PASSWORD@]HOST[:PORT][/TOPIC]`; of all devices below the topic.
    """
    return asyncio.run(_listen(uri, seconds))


async def _listen(uri: str, seconds: float) -> list[DeviceStatus]:
    import aiomqtt

    from edgefer_device.sinks.mqtt.broker import parse_broker
    from edgefer_device.sinks.mqtt.connection import connection, refusal

    everything = not uri.partition("://")[2].partition("/")[2]
    broker = parse_broker(f"{uri.rstrip('/')}/all" if everything else uri)
    received: dict[str, dict[str, bytes]] = {}

    async def receive() -> None:
        async with connection(broker) as client:
            await client.subscribe("#" if everything else f"{broker.prefix}/#")
            async for message in client.messages:
                topic, _, leaf = str(message.topic).rpartition("/")
                received.setdefault(topic, {})[leaf] = bytes(message.payload)

    try:
        # Retained messages come at once; how many there are is not announced.
        await asyncio.wait_for(receive(), seconds)
    except asyncio.TimeoutError:
        pass
    except aiomqtt.MqttError as exc:
        raise BrokerError(f"{broker.name} {refusal(exc)}") from exc
    devices = (_retained(topic, parts) for topic, parts in sorted(received.items()))
    return [device for device in devices if device is not None]


def _retained(topic: str, parts: dict[str, bytes]) -> DeviceStatus | None:
    """Return a device from its retained messages (docs/homeassistant.md, Topics).

    None for another kind of device: others too have a state and an availability.
    """
    state = _decoded(parts.get("state"), RetainedState)
    if state is None or "availability" not in parts:
        return None
    online = parts["availability"] == b"online"
    note = state.problem or ("paused" if state.paused else "online") if online else "offline"
    diagnostics = _decoded(parts.get("diagnostics"), RetainedDiagnostics)
    version = diagnostics.version if diagnostics else None
    return DeviceStatus(topic, online and not state.problem, None, version, state.mood, note)


def _decoded(payload: bytes | None, kind: type[Message]) -> Message | None:
    try:
        return msgspec.json.decode(payload or b"", type=kind)
    except NOT_JSON:
        return None


def describe(found: Sequence[DeviceStatus]) -> list[str]:
    """Return a line for each device."""
    widest = max((len(one.device) for one in found), default=0)
    return [f"{one.device:<{widest}}  {_line(one)}" for one in found]


def _line(one: DeviceStatus) -> str:
    known = one.release or one.version or "-"
    return f"{'ok' if one.ok else 'degraded':<8}  {known}  {one.mood or '-'}  {one.note}"
