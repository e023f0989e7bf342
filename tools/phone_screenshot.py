"""Take the screenshots of docs/mobile.md.

    PYTHONPATH=tests python tools/phone_screenshot.py CLIP FOLDER

The clip is what the page's camera sees, in Chromium without a window at a phone's size.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from selenium.webdriver import Chrome

from edgefer.bundle import open_bundle
from edgefer_device.export.web import web_files
from support.browser import chromium, picture
from support.live_page import LivePage, fake_camera, mjpeg

PATIENCE = 180.0
PIXEL, IPHONE = (412, 915), (390, 844)
"""Of a Pixel 8 and an iPhone 14, CSS pixels."""
REFUSE = (
    "MediaDevices.prototype.getUserMedia = async () => {"
    " throw new DOMException('', 'NotAllowedError'); }"
)
ASK = "Permissions.prototype.query = async () => ({ state: 'prompt' })"


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: of which phone, by day or night, in what language, of what."""

    name: str
    size: tuple[int, int]
    scheme: str
    language: str
    wanted: str
    """The page's state."""
    word: str = ""
    """The mood, as it is said."""
    held: float = 0.0
    """Seconds until the picture: the ribbon fills."""
    plant: str = ""
    """A script before the page's own."""


SHOTS = (
    Shot("mobile-pixel", PIXEL, "dark", "en", "mood", "happy", 56),
    Shot("mobile-iphone", IPHONE, "light", "es", "mood", "alegría", 6),
    Shot("mobile-welcome", IPHONE, "light", "en", "welcome", plant=ASK),
    Shot("mobile-refused", PIXEL, "dark", "de", "trouble", plant=REFUSE),
    Shot("mobile-lying", (915, 412), "dark", "en", "mood", "happy", 20),
)


def take(shot: Shot, url: str, stream: Path) -> bytes:
    """Return a picture as PNG."""
    with chromium(*shot.size, *fake_camera(stream)) as driver:
        size = {"width": shot.size[0], "height": shot.size[1]}
        phone = {**size, "deviceScaleFactor": 1.5, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        scheme = [{"name": "prefers-color-scheme", "value": shot.scheme}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        source = f"localStorage.setItem('edgefer-language', '{shot.language}'); {shot.plant}"
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        driver.get(url)
        wait(lambda: shows(driver, shot))
        time.sleep(shot.held)
        wait(lambda: shows(driver, shot))
        time.sleep(4)  # for colours to settle, and the picture to be the one that was read
        return picture(driver)


def shows(driver: Chrome, shot: Shot) -> bool:
    """Whether the page is as it is wanted."""
    script = "return [document.body.dataset.state, document.querySelector('#mood').textContent]"
    state, word = driver.execute_script(script)
    return state == shot.wanted and shot.word in word


def wait(holds: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)


def main(clip: str, folder: str, *names: str) -> None:
    """Take all pictures, or those named."""
    with tempfile.TemporaryDirectory() as place, LivePage(web_files(open_bundle("small"))) as page:
        stream = mjpeg(Path(clip), Path(place) / "clip.mjpeg", times=12)
        for shot in SHOTS:
            if not names or shot.name in names:
                (Path(folder) / f"{shot.name}.png").write_bytes(take(shot, page.url, stream))


if __name__ == "__main__":
    main(*sys.argv[1:])
