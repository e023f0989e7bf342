"""An enrollment on the mirror page: who may start it, and what the page shows of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientSession
from selenium.webdriver.support.wait import WebDriverWait

from edgefer_device.sinks.mirror.settings import MirrorSettings
from edgefer_device.sinks.opening import SinkContext
from support.browser import CHROMEDRIVER, CHROMIUM, chromium
from support.enrollment import WANTED, Story
from support.live_mirror import LiveMirror, mirror_sink

PATIENCE = 60.0
"""Seconds that a test waits for what should come within one: CI machines are busy."""


@pytest.mark.parametrize("allowed", [True, False])
def test_a_page_starts_and_stops_one_only_where_that_is_configured(
    tmp_path: Path, allowed: bool
) -> None:
    enrollment = Story(tmp_path).enrollment
    context = SinkContext(enrollment=enrollment, mirror=MirrorSettings(enroll=allowed))
    seen: list[str | None] = []

    async def whole() -> None:
        async with (
            mirror_sink(context) as sink,
            ClientSession() as session,
            session.ws_connect(sink.server.url + "ws") as page,
        ):
            for command in ("enroll", "enroll", "stop", "pause"):
                await page.send_json({"command": command})
            while (message := await page.receive_json())["type"] != "paused":
                if message["type"] == "hello":
                    seen.append(message["enrollment"]["outcome"])
            seen.append(enrollment.state.outcome)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE))
    assert seen == [None, "stopped" if allowed else None]


@pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not installed"
)
def test_the_page_asks_for_each_look_and_says_how_it_ended(tmp_path: Path) -> None:
    story = Story(tmp_path)
    context = SinkContext(enrollment=story.enrollment, mirror=MirrorSettings(enroll=True))
    with chromium() as browser, LiveMirror(context) as mirror:

        def shows(*wanted: str) -> bool:
            places = ("#mood", "#detail", "#enroll")
            text = "return document.querySelector(arguments[0]).textContent"
            return wanted == tuple(browser.execute_script(text, place) for place in places)

        def waits_for(*wanted: str) -> None:
            WebDriverWait(browser, PATIENCE, 0.1).until(lambda _: shows(*wanted), str(wanted))

        browser.get(mirror.sink.server.url)
        mirror.publish("happy", 0.9)
        waits_for("happy", "90 %", "Calibrate")
        browser.execute_script("document.querySelector('#enroll').click()")
        waits_for("neutral", "1 of 5: get ready to look like this.", "Stop")
        story.see(2)
        waits_for("neutral", "No face in view: come before the camera.", "Stop")
        mirror.publish("sad", 0.8)  # what is read meanwhile is not shown
        story.see(4, "sad")
        waits_for("neutral", "1 of 5: hold this look.", "Stop")
        browser.execute_script("document.querySelector('#enroll').click()")
        waits_for("Calibrate", "Stopped; nothing changed.", "Calibrate")
        story.enrollment.begin(WANTED)
        story.see(6, "sad")
        waits_for("happy", "2 of 2: get ready to look like this.", "Stop")
        story.see(6, "happy")
        waits_for("Calibrate", "Done. A few numbers were stored, no picture.", "Calibrate")
