"""The one function that chooses a sink by its address."""

from __future__ import annotations

from edgefer.errors import SettingsError
from edgefer_device.address import parse_address
from edgefer_device.sink import Sink

FORMS = {
    "console": "console:",
    "jsonl": "jsonl:PATH or jsonl:- for standard output",
    "mqtt": "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC",
    "mirror": "mirror:[HOST:PORT]",
}
"""By scheme: how a sink's address is written."""

MIRROR_HOST, MIRROR_PORT = "127.0.0.1", 8137
LAST_PORT = 65535


def open_sink(uri: str) -> Sink:
    """Return the sink at an address; it is acquired when it is entered.

    Raises `SettingsError` for an address that is not one of `FORMS`. Only the
    chosen sink is imported: the network libraries are half of the start time.
    """
    address = parse_address(uri, "sink", FORMS)
    if address.scheme == "jsonl":
        return _jsonl(uri, address.place)
    if address.scheme == "mqtt":
        from edgefer_device.broker import parse_broker
        from edgefer_device.mqtt import MqttSink

        return MqttSink(parse_broker(uri))
    if address.scheme == "mirror":
        from edgefer_device.mirror import MirrorSink

        return MirrorSink(*_host_and_port(uri, address.place))
    if address.place:
        raise SettingsError(f"{uri}: 'console:' takes nothing after it")
    from edgefer_device.console import ConsoleSink

    return ConsoleSink()


def _jsonl(uri: str, path: str) -> Sink:
    from edgefer_device.jsonl import JsonLinesSink

    if not path:
        raise SettingsError(f"{uri}: no path; write jsonl:PATH, or jsonl:- for standard output")
    return JsonLinesSink(path)


def _host_and_port(uri: str, place: str) -> tuple[str, int]:
    """Return where the mirror page is served; `HOST:PORT`, `:PORT` or nothing."""
    if not place:
        return MIRROR_HOST, MIRROR_PORT
    host, _, port = place.rpartition(":")
    if not port.isdecimal() or int(port) > LAST_PORT:
        raise SettingsError(f"{uri}: expected mirror:HOST:PORT, such as mirror:127.0.0.1:8137")
    return host.strip("[]") or MIRROR_HOST, int(port)
