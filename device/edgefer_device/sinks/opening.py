"""Open the sinks of a daemon: those chosen by address, and those of the configuration's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from edgefer.appearance import Appearance
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.pipeline.health import Health
from edgefer_device.pipeline.sink import Sink
from edgefer_device.sinks.content.settings import ContentSettings
from edgefer_device.sinks.enrollment import Enrollment
from edgefer_device.sinks.history import FILE, HistorySettings
from edgefer_device.sinks.jsonl import JsonLinesOptions, JsonLinesSink
from edgefer_device.sinks.message_board import MessageBoard
from edgefer_device.sinks.mirror.settings import MirrorSettings
from edgefer_device.sinks.mqtt.broker import PORTS, MqttSettings, parse_broker
from edgefer_device.sinks.mqtt.discovery import DeviceInfo
from edgefer_device.sinks.prometheus import Metrics
from edgefer_device.sinks.screen import ScreenSettings
from edgefer_device.system.address import Address, parse_address
from edgefer_device.system.paths import state_folder, written_path

if TYPE_CHECKING:
    from edgefer_device.sinks.history.store import HistoryStore
    from edgefer_device.web.server import WebServer

MIRROR, METRICS = ("127.0.0.1", 8137), ("127.0.0.1", 9137)
"""Host and port where the address of a sink names none."""


@dataclass(frozen=True)
class SinkContext:
    """What the sinks of one daemon are made from; each is handed only what it needs of it."""

    state: Path = field(default_factory=lambda: state_folder(None))
    """Folder for what outlives the daemon."""
    health: Health = field(default_factory=Health)
    controls: Controls = field(default_factory=Controls)
    enrollment: Enrollment | None = None
    """Asks for looks on the page; None where nothing can be enrolled."""
    device: DeviceInfo = field(default_factory=DeviceInfo)
    appearance: Appearance = field(default_factory=Appearance)
    """Of the model's labels."""
    mqtt: MqttSettings = field(default_factory=MqttSettings)
    mirror: MirrorSettings = field(default_factory=MirrorSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    content: ContentSettings = field(default_factory=ContentSettings)
    screen: ScreenSettings = field(default_factory=ScreenSettings)

    @cached_property
    def metrics(self) -> Metrics:
        """What is counted for `/metrics`."""
        return Metrics(self.health)

    @cached_property
    def board(self) -> MessageBoard:
        """Where content rules leave lines for the mirror page."""
        return MessageBoard()

    @cached_property
    def store(self) -> HistoryStore | None:
        """The history's file; None where no history is kept."""
        if not self.history.keep_days:
            return None
        from edgefer_device.sinks.history.store import HistoryStore

        return HistoryStore(self.state / FILE)


@runtime_checkable
class PageSink(Protocol):
    """A sink that serves a page for people."""

    @property
    def address(self) -> str | None:
        """The page's URL, with its token where it needs one; None while it is not served."""
        ...


@dataclass(frozen=True, slots=True)
class OpenSinks:
    """The sinks of one daemon, in the order in which they get reports."""

    sinks: tuple[Sink, ...]
    metrics: Metrics

    @property
    def page(self) -> str | None:
        """The mirror page's URL, for those who may know its token; None while none is served."""
        pages = (sink.address for sink in self.sinks if isinstance(sink, PageSink))
        return next(filter(None, pages), None)


def open_sinks(uris: Iterable[str], context: SinkContext | None = None) -> OpenSinks:
    """Return the sinks at some addresses, those of the context's tables, and the metrics.

    All but the last are watched by the context's health. Raises `SettingsError`.
    """
    context, uris = context or SinkContext(), tuple(uris)
    named = [(uri.partition(":")[0], open_sink(uri, context)) for uri in uris]
    named += _configured(uris, context)
    watched = [context.health.watch_sink(name, sink) for name, sink in named]
    return OpenSinks((*watched, context.metrics), context.metrics)


def sink_address(uri: str) -> Address:
    """Parse a sink's address without opening it; raise `SettingsError`."""
    return parse_address(uri, "sink", FORMS, urls=("webhook",))


def page_url(uris: Iterable[str]) -> str | None:
    """Return the mirror page's URL for other machines, without its token; None without one."""
    for uri in uris:
        if uri.partition(":")[0] == "mirror":
            from edgefer_device.web.access import is_loopback
            from edgefer_device.web.server import url_of

            host, port = sink_address(uri).host_and_port(MIRROR)
            return None if is_loopback(host) else url_of(host, port)
    return None


def open_sink(uri: str, context: SinkContext | None = None) -> Sink:
    """Return the sink at an address; it is acquired when it is entered.

    Raises `SettingsError` for an address that is not one of `FORMS`.
    """
    address = sink_address(uri)
    kind = KINDS[address.scheme]
    return kind.open(SinkSpec(uri, address, address.read(kind.options), context or SinkContext()))


@dataclass(frozen=True, slots=True)
class NoOptions:
    """The options of sinks that have none."""


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """A sink's address, parsed, and what it is made from."""

    uri: str = field(repr=False)
    address: Address
    options: Any
    """Those of the scheme, a dataclass."""
    context: SinkContext


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of sink."""

    form: str
    """How its address is written."""
    open: Callable[[SinkSpec], Sink]
    options: type[Any] = NoOptions


# Each opener imports its own sink only: the network libraries are half of the start time.


def _configured(uris: Iterable[str], context: SinkContext) -> Iterator[tuple[str, Sink]]:
    """Yield the sinks that no address names: history, content and screen, where configured."""
    if context.store is not None:
        from edgefer_device.sinks.history.sink import HistorySink

        yield "history", HistorySink(context.store, context.history.keep_days)
    if context.content.rules:
        from edgefer_device.sinks.content.sink import Actions, ContentSink

        broker = next((uri for uri in uris if uri.partition(":")[0] in PORTS), None)
        actions = Actions(None if broker is None else parse_broker(broker, context.mqtt))
        yield "content", ContentSink(context.content, context.board, actions)
    if context.screen.tool != "none":
        from edgefer_device.sinks.screen import ScreenSink

        yield "screen", ScreenSink(context.screen)


def _console(spec: SinkSpec) -> Sink:
    from edgefer_device.sinks.console import ConsoleSink

    spec.address.refuse_place()
    return ConsoleSink()


def _jsonl(spec: SinkSpec) -> Sink:
    place = spec.address.place
    return JsonLinesSink(place and str(written_path(place)), spec.options)


def _mqtt(spec: SinkSpec) -> Sink:
    from edgefer_device.sinks.mqtt.sink import MqttSink

    context = spec.context
    broker = parse_broker(spec.uri, context.mqtt)
    return MqttSink(broker, context.mqtt, context.device, context.controls, context.health)


def _mirror(spec: SinkSpec) -> Sink:
    from edgefer_device.sinks.mirror.sink import MirrorSink

    context, server = spec.context, _server("mirror page", MIRROR, spec)
    if context.store is not None:
        from edgefer_device.sinks.mirror.week import week_routes

        server.routes += week_routes(context.store)
    days = context.history.keep_days
    return MirrorSink(
        server,
        context.mirror,
        context.controls,
        context.board,
        days,
        context.health,
        context.appearance,
        enrollment=context.enrollment,
    )


def _metrics(spec: SinkSpec) -> Sink:
    from edgefer_device.sinks.status_pages import MetricsSink

    return MetricsSink(_server("metrics", METRICS, spec))


def _webhook(spec: SinkSpec) -> Sink:
    from edgefer_device.sinks.webhook import WebhookSink

    return WebhookSink(spec.address.place)


def _server(what: str, usual: tuple[str, int], spec: SinkSpec) -> WebServer:
    """Return a server of the status pages at `HOST:PORT`, `:PORT` or the usual port."""
    from edgefer_device.sinks.status_pages import status_routes
    from edgefer_device.web.server import WebServer

    context = spec.context
    host, port = spec.address.host_and_port(usual)
    routes = status_routes(context.health, context.metrics)
    mirror = context.mirror
    return WebServer(what, host, port, context.state, routes, mirror.hosts, mirror.frame_ancestors)


KINDS = {
    "console": Kind("console:", _console),
    "jsonl": Kind(
        "jsonl:PATH[?max_mb=10&keep=5] or jsonl:- for standard output", _jsonl, JsonLinesOptions
    ),
    "mqtt": Kind("mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC", _mqtt),
    "mqtts": Kind("mqtts://[USER:PASSWORD@]HOST[:PORT]/TOPIC", _mqtt),
    "mirror": Kind("mirror:[HOST:PORT]", _mirror),
    "metrics": Kind("metrics:[HOST:PORT]", _metrics),
    "webhook": Kind("webhook:https://HOST/PATH", _webhook),
}
"""By scheme, in the order in which errors list them."""
FORMS = {scheme: kind.form for scheme, kind in KINDS.items()}
