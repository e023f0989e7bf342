"""Chromium without a window, and reports of one face to show in it."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from edgefer.messages import Box, Face, Report

CHROMIUM = shutil.which("chromium")
CHROMEDRIVER = shutil.which("chromedriver")


def noon() -> str:
    """Return a time zone in which it is noon now: by night the mirror's page is dimmed."""
    # East of Greenwich is negative in these names.
    return f"Etc/GMT{datetime.now(timezone.utc).hour - 12:+d}"


@contextmanager
def chromium(width: int = 1280, height: int = 720, *flags: str) -> Iterator[webdriver.Chrome]:
    """Run Debian's Chromium without a window, on a fresh profile; sizes in CSS pixels."""
    with tempfile.TemporaryDirectory(prefix="edgefer-chromium-") as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or "chromium"
        for flag in (
            "headless",
            "no-sandbox",
            "disable-gpu",
            "disable-quic",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "hide-scrollbars",
            f"user-data-dir={profile}",
            *flags,
        ):
            options.add_argument(f"--{flag}")
        # A driver given by path keeps selenium from looking for one on the network.
        service = Service(CHROMEDRIVER or "chromedriver", env={**os.environ, "TZ": noon()})
        driver = webdriver.Chrome(options, service)
        try:
            resize(driver, width, height)
            yield driver
        finally:
            driver.quit()


@contextmanager
def tab(driver: webdriver.Chrome, width: int = 1280, height: int = 720) -> Iterator[None]:
    """Work in a tab of its own, with what it stores; its cookies are gone afterwards."""
    before = driver.current_window_handle
    driver.switch_to.new_window("tab")
    try:
        resize(driver, width, height)
        yield
    finally:
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        driver.close()
        driver.switch_to.window(before)


def resize(driver: webdriver.Chrome, width: int, height: int) -> None:
    """Set the page's size in CSS pixels; the window itself cannot be as narrow as a phone."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def picture(driver: webdriver.Chrome) -> bytes:
    """Return the page as PNG."""
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    return base64.b64decode(shot["data"])


def report(mood: str | None, confidence: float | None = None, frame: int = 0) -> Report:
    """Return a report of one face, or of none where `mood` is None."""
    time_s = frame / 30
    if mood is None or confidence is None:
        return Report(time=time_s, frame=frame, faces=(), mood=None, confidence=None)
    face = Face(
        track=1,
        box=Box(220.0, 120.0, 180.0, 180.0),
        score=0.94,
        label=mood,
        probabilities={mood: confidence},
    )
    return Report(time=time_s, frame=frame, faces=(face,), mood=mood, confidence=confidence)


def people(*moods: str) -> Report:
    """Return a report of one face for each mood; the first is the largest."""
    faces = tuple(
        Face(
            track=track,
            box=Box(160.0 * track, 120.0, 180.0 / track, 180.0 / track),
            score=0.9,
            label=mood,
            probabilities={mood: 0.8},
        )
        for track, mood in enumerate(moods, 1)
    )
    return Report(time=0.0, frame=0, faces=faces, mood=moods[0], confidence=0.8)
