"""Take screenshots of the mirror page, from made-up minutes.

    PYTHONPATH=tests python tools/screenshot.py docs            # all that the documents show
    PYTHONPATH=tests python tools/screenshot.py docs --only week two
    PYTHONPATH=tests python tools/screenshot.py . --url http://127.0.0.1:8137/   # a daemon's

Chromium and chromedriver have to be installed.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgefer.messages import Report
from edgefer_device.sinks.history import HistorySettings
from edgefer_device.sinks.mirror.messages import Moment
from edgefer_device.sinks.mirror.settings import MirrorSettings
from edgefer_device.sinks.mirror.sink import MirrorSink
from edgefer_device.sinks.opening import SinkContext
from support.browser import chromium, people, picture, report
from support.live_mirror import LiveMirror

PLAY = (
    ("neutral", 0.81, 30),
    ("happy", 0.9, 85),
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
"""The last nine minutes: mood, confidence (0..1) and how long it is held (s)."""
ONE = report("happy", 0.86)
WEEK_KEY = "document.querySelector('#open-week').click()"
IDLE_SECONDS = 26.0


@dataclass(frozen=True)
class Scene:
    """One picture: what is seen, on which page, and how long after the page was loaded."""

    seen: Report | None = ONE
    size: tuple[int, int] = (1280, 720)
    settings: MirrorSettings = field(default_factory=lambda: MirrorSettings(week_at=""))
    wait: float = 8.0
    """Seconds."""
    arrival: bool = False
    """Whether whoever is there has just come."""
    paused: bool = False
    keep_days: int = 90
    script: str = ""
    bare: bool = False
    """Whether the system has no font but DejaVu."""


def settings(**keys: object) -> MirrorSettings:
    """Return a `[mirror]` table whose week opens by no clock."""
    return msgspec.convert({"week_at": "", **keys}, MirrorSettings)


SCENES = {
    "mirror": Scene(size=(1600, 900), settings=settings(name="Anna"), arrival=True),
    "mirror-two": Scene(people("happy", "surprise")),
    "mirror-idle": Scene(report(None), wait=IDLE_SECONDS),
    "mirror-paused-de": Scene(paused=True, settings=settings(language="de")),
    "mirror-no-camera": Scene(None, settings=settings(language="en")),
    "mirror-week": Scene(script=WEEK_KEY),
    "mirror-portrait-zh": Scene(size=(720, 1280), settings=settings(language="zh"), bare=True),
    "mirror-800x480": Scene(report("sad", 0.61), size=(800, 480)),
    "mirror-contrast": Scene(report("fear", 0.64), settings=settings(theme="contrast")),
    "mirror-light": Scene(report("disgust", 0.71), settings=settings(theme="light", clock=12)),
    "mirror-phone-es": Scene(
        msgspec.structs.replace(report("unknown", 0.3), reason="dark"),
        size=(390, 844),
        settings=settings(language="es"),
    ),
}
"""By the file's name."""


@contextmanager
def rehearsal(scene: Scene) -> Iterator[str]:
    """Serve a page whose last minutes are `PLAY`; yield its URL."""
    with tempfile.TemporaryDirectory() as folder:
        context = SinkContext(
            state=Path(folder),
            mirror=scene.settings,
            history=HistorySettings(keep_days=scene.keep_days),
        )
        if scene.paused:
            context.controls.pause()
        _fill_week(context)
        with LiveMirror(context) as mirror:
            _remember(mirror.sink)
            with mirror.repeating(scene.seen):
                yield mirror.sink.server.url


def _fill_week(context: SinkContext) -> None:
    """Keep a week of mornings and evenings."""
    if context.store is None:
        return
    chance = random.Random(7)
    now = int(time.time() // 60)
    moods = ("neutral", "neutral", "happy", "happy", "surprise", "sad", "angry")
    for ago in range(7 * 24):
        minute = now - 60 * ago
        hour = time.localtime(60 * minute).tm_hour
        if hour in (7, 8, 18, 19, 20, 21) and chance.random() < 0.85:
            mood, length = chance.choice(moods), chance.randrange(4, 40)
            context.store.add({minute - one: {mood: 50.0} for one in range(length)})


def _remember(sink: MirrorSink) -> None:
    at = time.monotonic() - sum(held for *_, held in PLAY)
    for mood, confidence, held in PLAY:
        for second in range(held):
            # Confidence rises after a change and wavers, as a mood's does.
            settle = 1 - 0.45 * math.exp(-second / 4)
            waver = 0.05 * math.sin(at * 0.19) + 0.03 * math.sin(at * 0.071)
            sure = None if confidence is None else max(0.05, min(1, confidence * settle + waver))
            sink.timeline.add(Moment(at=at, mood=mood, confidence=sure))
            at += 1


@contextmanager
def _fonts(bare: bool) -> Iterator[None]:
    """Let Chromium find no font but DejaVu."""
    if not bare:
        yield
        return
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as settings_file:
        settings_file.write(
            "<fontconfig><dir>/usr/share/fonts/truetype/dejavu</dir>"
            f"<cachedir>{tempfile.gettempdir()}/edgefer-fonts</cachedir></fontconfig>"
        )
        settings_file.flush()
        os.environ["FONTCONFIG_FILE"] = settings_file.name
        try:
            yield
        finally:
            del os.environ["FONTCONFIG_FILE"]


def _take(url: str, out: Path, scene: Scene) -> None:
    with _fonts(scene.bare), chromium(*scene.size) as driver:
        driver.get(url)
        time.sleep(2)
        if not scene.arrival:
            driver.execute_script("document.body.removeAttribute('data-arrival')")
        time.sleep(scene.wait)  # for the colours to settle and the halo to unfold
        if scene.script:
            driver.execute_script(scene.script)
            time.sleep(2)
        out.write_bytes(picture(driver))


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(SCENES)}")
    parser.add_argument("--url", help="a running daemon's page, as mirror.png")
    options = parser.parse_args(arguments)
    if options.url:
        _take(options.url, options.folder / "mirror.png", SCENES["mirror"])
        return
    for name, scene in SCENES.items():
        if not options.only or name.removeprefix("mirror-") in options.only:
            with rehearsal(scene) as url:
                _take(url, options.folder / f"{name}.png", scene)


if __name__ == "__main__":
    main()
