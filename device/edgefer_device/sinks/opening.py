"""The sinks behind the seam in `sink.py`, and the functions that choose among them.

One is chosen by its address, all of them by the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgefer.errors import SettingsError
from edgefer_device.daemon.configuration import Config
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.pipeline.health import Health
from edgefer_device.pipeline.sink import Sink
from edgefer_device.sinks.context import Shared
from edgefer_device.sinks.history.settings import FILE
from edgefer_device.sinks.rotation import Rotation
from edgefer_device.system.address import parse_address
from edgefer_device.system.paths import state_folder

if TYPE_CHECKING:
    from edgefer_device.sinks.history.store import Store

FORMS = {
    "console": "console:",
    "jsonl": "jsonl:PATH[?max_mb=10&keep=5] or jsonl:- for standard output",
    "mqtt": "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC",
    "mqtts": "mqtts://[USER:PASSWORD@]HOST[:PORT]/TOPIC",
    "mirror": "mirror:[HOST:PORT]",
    "metrics": "metrics:[HOST:PORT]",
    "webhook": "webhook:https://HOST/PATH",
}
"""By scheme: how a sink's address is written."""

MIRROR_PLACE = "127.0.0.1", 8137
METRICS_PLACE = "127.0.0.1", 9137
LAST_PORT = 65535
MEGABYTE = 1_000_000
KEEP = 5
"""Full files of JSON lines that are kept beside the one being written."""


def open_sinks(
    config: Config, health: Health | None = None, shared: Shared | None = None
) -> list[Sink]:
    """Return all sinks that a configuration asks for, each of them watched by `health`.

    Beside those in `sinks` these are the history, the rules of content and the screen, where
    they are configured, and what counts the figures for whoever serves them. Raises
    `SettingsError`.
    """
    shared = shared or share(config, health or Health())
    sinks = [
        shared.health.watch_sink(uri.partition(":")[0], open_sink(uri, shared))
        for uri in config.sinks
    ]
    if shared.store is not None:
        from edgefer_device.sinks.history.sink import HistorySink

        history = HistorySink(shared.store, shared.keep_days)
        sinks.append(shared.health.watch_sink("history", history))
    if config.content.rule:
        sinks.append(shared.health.watch_sink("content", _content(config, shared)))
    if config.screen.tool != "none":
        from edgefer_device.sinks.screen import ScreenSink

        sinks.append(shared.health.watch_sink("screen", ScreenSink(config.screen)))
    return [*sinks, shared.figures]


def open_sink(uri: str, shared: Shared | None = None) -> Sink:
    """Return the sink at an address; it is acquired when it is entered.

    Raises `SettingsError` for an address that is not one of `FORMS`. Only the
    chosen sink is imported: the network libraries are half of the start time.
    """
    address = parse_address(uri, "sink", FORMS)
    shared = shared or Shared()
    if address.scheme == "jsonl":
        return _jsonl(uri, address.place, address.options)
    if address.scheme in ("mqtt", "mqtts"):
        from edgefer_device.sinks.mqtt.broker import parse_broker
        from edgefer_device.sinks.mqtt.sink import MqttSink

        return MqttSink(parse_broker(uri, shared.config.mqtt), shared)
    if address.scheme == "mirror":
        from edgefer_device.sinks.mirror.sink import MirrorSink

        return MirrorSink(*_host_and_port(uri, address.place, MIRROR_PLACE), shared=shared)
    if address.scheme == "metrics":
        from edgefer_device.sinks.status_pages import MetricsSink

        place = _host_and_port(uri, address.place, METRICS_PLACE)
        state = state_folder(shared.config.state)
        return MetricsSink(*place, shared.health, shared.figures, state)
    if address.scheme == "webhook":
        from edgefer_device.sinks.webhook import WebhookSink

        # The whole of it: what stands behind a question mark belongs to the server.
        return WebhookSink(uri.partition(":")[2])
    if address.place or address.options:
        raise SettingsError(f"{uri}: 'console:' takes nothing after it")
    from edgefer_device.sinks.console import ConsoleSink

    return ConsoleSink()


def history_store(config: Config) -> Store:
    """Return the history's file, kept or not."""
    from edgefer_device.sinks.history.store import Store

    return Store(state_folder(config.state) / FILE)


def share(config: Config, health: Health, controls: Controls | None = None) -> Shared:
    """Return what the sinks of a configuration have in common."""
    keep = config.history.keep_days
    return Shared(health, history_store(config) if keep else None, keep, controls, config)


def _content(config: Config, shared: Shared) -> Sink:
    from edgefer_device.sinks.content.actions import Actions
    from edgefer_device.sinks.content.sink import ContentSink
    from edgefer_device.sinks.mqtt.broker import is_broker, parse_broker

    broker = next((uri for uri in config.sinks if is_broker(uri)), None)
    actions = Actions(None if broker is None else parse_broker(broker, config.mqtt))
    return ContentSink(config.content, shared.board, actions)


def _jsonl(uri: str, path: str, options: Mapping[str, str]) -> Sink:
    from edgefer_device.sinks.jsonl import JsonLinesSink

    if not path:
        raise SettingsError(f"{uri}: no path; write jsonl:PATH, or jsonl:- for standard output")
    rotation = _rotation(uri, options)
    if rotation is not None and path == "-":
        raise SettingsError(f"{uri}: standard output cannot be limited; give a path")
    return JsonLinesSink(path, rotation)


def _rotation(uri: str, options: Mapping[str, str]) -> Rotation | None:
    """Read `max_mb` (million bytes) and `keep` (files)."""
    unknown = next((name for name in options if name not in ("max_mb", "keep")), None)
    if unknown is not None:
        raise SettingsError(f"{uri}: unknown option '{unknown}'; known: max_mb, keep")
    if "max_mb" not in options:
        if options:
            raise SettingsError(f"{uri}: 'keep' needs a limit beside it, such as max_mb=10")
        return None
    try:
        limit, keep = float(options["max_mb"]), int(options.get("keep", KEEP))
    except ValueError:
        limit, keep = 0.0, 0
    if not 0 < limit < float("inf") or keep < 0:
        raise SettingsError(f"{uri}: expected numbers, such as jsonl:PATH?max_mb=10&keep=5")
    return Rotation(int(limit * MEGABYTE), keep)


def _host_and_port(uri: str, place: str, usual: tuple[str, int]) -> tuple[str, int]:
    """Return where a page is served; `HOST:PORT`, `:PORT` or nothing."""
    if not place:
        return usual
    host, _, port = place.rpartition(":")
    if not port.isdecimal() or int(port) > LAST_PORT:
        scheme = uri.partition(":")[0]
        example = f"{scheme}:{usual[0]}:{usual[1]}"
        raise SettingsError(f"{uri}: expected {scheme}:HOST:PORT, such as {example}")
    return host.strip("[]") or usual[0], int(port)
