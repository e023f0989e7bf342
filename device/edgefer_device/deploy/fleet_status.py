"""How the devices of a fleet are: over SSH each is asked, over MQTT the broker tells of all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from edgefer.errors import BrokerError, EdgeferError
from edgefer_device.deploy import rollback
from edgefer_device.deploy.connection import Remote, Report
from edgefer_device.deploy.deployment import Connect
from edgefer_device.deploy.host_pool import run_on_hosts

ASK = """
systemctl is-active edgefer
STATE_DIRECTORY=/var/lib/edgefer /opt/edgefer/current/bin/edgefer status --json 2>/dev/null
true
"""


class DeviceStatus(msgspec.Struct, frozen=True):
    """One device, as it was found; a line of `edgefer fleet status --json`."""

    device: str
    """Its address, or its topic."""
    ok: bool
    release: str | None
    """None where it was not asked: a broker does not know it."""
    version: str | None
    mood: str | None
    note: str
    """What is wrong, or how it is, in words."""


def over_ssh(hosts: Sequence[tuple[str, Connect]]) -> list[DeviceStatus]:
    """Ask every device, several at a time."""
    works = [(host, partial(_asked, host, connect)) for host, connect in hosts]
    return run_on_hosts(works, lambda host, line: None)


def _asked(host: str, connect: Connect, _: Report) -> DeviceStatus:
    try:
        with connect() as remote:
            listed = rollback.asked(remote, host)
            active, told = _daemon(remote)
    except EdgeferError as exc:
        return DeviceStatus(host, False, None, None, None, str(exc).removeprefix(f"{host}: "))
    running = listed["running"]
    if told is None:
        note = f"the service is {active}" if running else "nothing is deployed there"
        return DeviceStatus(host, False, running, None, None, note)
    ill = [f"{name}: {part['note']}" for name, part in told["parts"].items() if not part["ok"]]
    note = "; ".join(ill) or ("paused" if told["paused"] else f"{told['analysed']} frames")
    return DeviceStatus(host, told["ok"], running, told["version"], told["mood"], note)


def _daemon(remote: Remote) -> tuple[str, dict[str, Any] | None]:
    """Return systemd's word for the service, and the daemon's own, if it has one."""
    active, *told = remote.run(ASK, "asking how it is").splitlines() or ["unknown"]
    return active, json.loads(told[0]) if told else None


def over_mqtt(uri: str, seconds: float) -> list[DeviceStatus]:
    """Return what a broker keeps of every device; raise `BrokerError` where it lets nobody in.

    `uri` is `mqtt://[USER:PASSWORD@]HOST[:PORT][/TOPIC]`; of all devices below the topic.
    """
    return asyncio.run(_heard(uri, seconds))


async def _heard(uri: str, seconds: float) -> list[DeviceStatus]:
    import aiomqtt

    from edgefer_device.sinks.mqtt.broker import parse_broker
    from edgefer_device.sinks.mqtt.connection import connection, refusal

    everything = not uri.partition("://")[2].partition("/")[2]
    broker = parse_broker(f"{uri.rstrip('/')}/all" if everything else uri)
    held: dict[str, dict[str, bytes]] = {}

    async def listen() -> None:
        async with connection(broker) as client:
            await client.subscribe("#" if everything else f"{broker.prefix}/#")
            async for message in client.messages:
                topic, _, leaf = str(message.topic).rpartition("/")
                held.setdefault(topic, {})[leaf] = bytes(message.payload)

    try:
        # What is kept comes at once; how much there is nobody tells.
        await asyncio.wait_for(listen(), seconds)
    except asyncio.TimeoutError:
        pass
    except aiomqtt.MqttError as exc:
        raise BrokerError(f"{broker.name} {refusal(exc)}") from exc
    return [_kept(topic, parts) for topic, parts in sorted(held.items()) if _is_ours(parts)]


def _is_ours(parts: dict[str, bytes]) -> bool:
    """Whether a topic is an edgefer's: others too have a state and an availability."""
    return "availability" in parts and "mood" in _json(parts.get("state"))


def _kept(topic: str, parts: dict[str, bytes]) -> DeviceStatus:
    """Return a device from its retained messages (docs/homeassistant.md, Topics)."""
    state, figures = _json(parts.get("state")), _json(parts.get("diagnostics"))
    online = parts["availability"] == b"online"
    problem = state.get("problem")
    note = problem or ("paused" if state.get("paused") else "online") if online else "offline"
    ok = online and not problem
    return DeviceStatus(topic, ok, None, figures.get("version"), state.get("mood"), note)


def _json(payload: bytes | None) -> dict[str, Any]:
    try:
        table = json.loads(payload or b"{}")
    except ValueError:
        return {}
    return table if isinstance(table, dict) else {}


def describe(found: Sequence[DeviceStatus]) -> list[str]:
    """Return a line for each device."""
    widest = max((len(one.device) for one in found), default=0)
    return [f"{one.device:<{widest}}  {_line(one)}" for one in found]


def _line(one: DeviceStatus) -> str:
    known = one.release or one.version or "-"
    return f"{'ok' if one.ok else 'degraded':<8}  {known}  {one.mood or '-'}  {one.note}"
