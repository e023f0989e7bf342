"""Take a screenshot of the mirror page.

    PYTHONPATH=tests python tools/screenshot.py URL OUT.png [--size 1920x1080]

URL is that of any running daemon, or `rehearsal`: a page of its own, fed with ten
made-up minutes, to look at while the page is being worked on.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgefer_device.sinks.mirror.messages import Moment
from edgefer_device.sinks.mirror.sink import MirrorSink
from edgefer_device.web.server import WebServer
from support.browser import chromium, picture, report

PLAY = (
    ("neutral", 0.81, 70),
    ("happy", 0.9, 95),
    ("neutral", 0.66, 40),
    (None, None, 45),
    ("neutral", 0.72, 30),
    ("surprise", 0.84, 14),
    ("happy", 0.88, 60),
    ("unknown", 0.3, 12),
    ("sad", 0.61, 55),
    ("neutral", 0.78, 90),
    ("angry", 0.57, 8),
    ("happy", 0.86, 81),
)
"""The rehearsal: mood, confidence (0..1) and how long it is held (s), 600 s in all."""


@contextmanager
def rehearsal() -> Iterator[str]:
    """Serve a page whose last ten minutes are `PLAY` and whose mood is its last; yield its URL."""
    started: list[str] = []
    ready, done = threading.Event(), threading.Event()

    async def perform() -> None:
        async with MirrorSink(WebServer("mirror page", "127.0.0.1", 0)) as sink:
            _remember(sink)
            started.append(sink.server.url)
            ready.set()
            mood, confidence, _ = PLAY[-1]
            while not done.is_set():
                await sink.publish(report(mood, confidence))
                await asyncio.sleep(0.1)

    thread = threading.Thread(target=asyncio.run, args=(perform(),), name="rehearsal")
    thread.start()
    ready.wait(10)
    try:
        yield started[0]
    finally:
        done.set()
        thread.join(10)


def _remember(sink: MirrorSink) -> None:
    at = time.monotonic() - sum(held for *_, held in PLAY)
    for mood, confidence, held in PLAY:
        for second in range(held):
            # Confidence rises after a change and wavers, as a smoothed mood's does.
            settle = 1 - 0.45 * math.exp(-second / 4)
            waver = 0.05 * math.sin(at * 0.19) + 0.03 * math.sin(at * 0.071)
            sure = None if confidence is None else max(0.05, min(1, confidence * settle + waver))
            sink.timeline.add(Moment(at=at, mood=mood, confidence=sure))
            at += 1


def _take(url: str, out: Path, size: tuple[int, int], wait: float) -> None:
    with chromium(*size) as driver:
        driver.get(url)
        time.sleep(wait)  # for the colours to settle and the halo to unfold
        out.write_bytes(picture(driver))


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def main(arguments: list[str]) -> None:
    """Read the command line and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", metavar="URL", help="the page's address, or `rehearsal`")
    parser.add_argument("out", metavar="OUT.png", type=Path)
    parser.add_argument("--size", type=_size, default=(1920, 1080), help="CSS pixels")
    parser.add_argument("--wait", type=float, default=5.0, help="seconds from load to picture")
    options = parser.parse_args(arguments)
    if options.url != "rehearsal":
        _take(options.url, options.out, options.size, options.wait)
        return
    with rehearsal() as url:
        _take(url, options.out, options.size, options.wait)


if __name__ == "__main__":
    main(sys.argv[1:])
