"""A mirror on an event loop of its own, so that a test may block on the browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from edgefer.messages import Report
from edgefer_device.sinks.mirror.sink import MirrorSink
from edgefer_device.sinks.opening import SinkContext, open_sink
from support.browser import report

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds that a test waits for what should come within one: CI machines are busy."""


def mirror_sink(context: SinkContext | None = None, place: str = "127.0.0.1:0") -> MirrorSink:
    """Return the sink of `mirror:PLACE`; port 0 takes any free one."""
    sink = open_sink(f"mirror:{place}", context)
    assert isinstance(sink, MirrorSink)
    return sink


class LiveMirror:
    """Serves the page while it is entered; whatever is called runs on its loop."""

    def __init__(self, context: SinkContext | None = None, port: int = 0) -> None:
        self.sink = mirror_sink(context, f"127.0.0.1:{port}")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="live mirror")

    def __enter__(self) -> LiveMirror:
        self._thread.start()
        self._wait(self.sink.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self.sink.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    def publish(self, mood: str | None, confidence: float | None = None) -> None:
        """Hand the mirror a report of one face."""
        self.publish_report(report(mood, confidence))

    def publish_report(self, report: Report) -> None:
        """Hand the mirror one report."""
        self._wait(self.sink.publish(report))

    @contextmanager
    def repeating(self, report: Report | None) -> Iterator[None]:
        """Hand the mirror a report again and again, as a pipeline does; none for None."""
        ended = threading.Event()

        def repeat() -> None:
            while report is not None and not ended.wait(0.1):
                self.publish_report(report)

        thread = threading.Thread(target=repeat, name="repeating")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(PATIENCE)

    def _wait(self, story: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(story, self._loop).result(PATIENCE)
