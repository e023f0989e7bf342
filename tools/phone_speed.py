"""Measure how much the phone's page downloads, and how fast it classifies.

    PYTHONPATH=tests python tools/phone_speed.py CLIP

Chromium without a window plays the clip to the page as its camera, for so many seconds; the page
looks at every frame that it can, as `[frame_rate] active = 0` would have it. Node then tells what a
frame's parts cost of a core, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from edgefer.bundle import open_bundle
from edgefer_device.export.web import web_files
from support.browser import chromium
from support.live_page import LivePage, fake_camera, mjpeg, remember_moods

TESTS = Path(__file__).parents[1] / "tests" / "device" / "page"
Took = list[tuple[bool, float]]
"""Of each frame, whether faces were looked for in it, and milliseconds."""


def unhurried(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the page with a contract that looks at every frame."""
    contract = msgspec.json.decode(files["contract.json"])
    contract["frame_rate"] |= {"idle": 1000, "active": 0}
    return {**files, "contract.json": msgspec.json.encode(contract)}


def measured(clip: Path, seconds: float) -> tuple[int, float, Took, float]:
    """Return bytes downloaded, seconds to the first report, what frames took, frames a second."""
    files = unhurried(web_files(open_bundle("small")))
    # The service worker would keep the original's hashes: without it the page goes all the same.
    del files["service.js"]
    with tempfile.TemporaryDirectory() as folder, LivePage(files) as page:
        stream = mjpeg(clip, Path(folder) / "clip.mjpeg")
        with chromium(412, 915, "force-prefers-reduced-motion", *fake_camera(stream)) as driver:
            remember_moods(driver)
            begun = time.monotonic()
            driver.get(page.url)
            while not driver.execute_script("return took.length"):
                time.sleep(0.05)
            first, sent = time.monotonic() - begun, page.sent
            time.sleep(5)  # the browser compiles the busiest parts again
            driver.execute_script("took.length = 0")
            time.sleep(seconds)
            took = driver.execute_script("return took")
    return sent, first, took, len(took) / seconds


def cost(files: dict[str, bytes]) -> str:
    """Return what node says of the parts of a frame."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        scripts = {path.name: path.read_bytes() for path in TESTS.iterdir() if path.is_file()}
        for name, content in {**files, **scripts}.items():
            (place / name).write_bytes(content)
        (place / "package.json").write_text('{"type": "module"}')
        words, env = ["node", "cost.js"], {**os.environ, "EDGEFER_PAGE": folder}
        return subprocess.run(
            words, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, text=True
        ).stdout


def main(arguments: list[str]) -> None:
    """Read the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", metavar="CLIP", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args(arguments)
    sent, first, took, rate = measured(options.clip, options.seconds)
    print(f"downloaded         {sent:,} bytes")
    print(f"first report after {first:.1f} s")
    for looked, words in ((True, "looking for faces"), (False, "in between")):
        times = [ms for found, ms in took if found == looked]
        if times:
            print(
                f"a frame, {words:17} {statistics.median(times):6.1f} ms (median of {len(times)})"
            )
    print(f"frames a second    {rate:.1f}")
    print(cost(web_files(open_bundle("small"))), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
