"""Measure what the mirror page costs its browser: each Chromium process's share of a core.

    PYTHONPATH=tests python tools/page_cost.py [--seconds 30] [--size 1920x1080]

Runs Chromium without a graphics chip (`--disable-gpu`), motion on, with somebody there and then
with nobody, after the page has come to rest.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from pathlib import Path

from selenium.webdriver import Chrome

from edgefer.machine import machine
from screenshot import Scene, rehearsal, settings
from support.browser import chromium, report

SETTLED = 26.0
"""Seconds from the load until somebody has been greeted, or nobody's page rests."""
KINDS = {"renderer": "renderer", "gpu-process": "compositor"}
"""By Chromium's `--type`."""


def ticks(driver: Chrome) -> Counter[str]:
    """Return the processor time of the browser's processes so far, in clock ticks."""
    profile = driver.capabilities["chrome"]["userDataDir"]
    found: dict[int, tuple[int, str, int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(process.name)] = int(fields[1]), words, int(fields[11]) + int(fields[12])
    family = {one for one, (_, words, _) in found.items() if profile in words}
    while more := {one for one, (parent, *_) in found.items() if parent in family} - family:
        family |= more
    spent: Counter[str] = Counter()
    for _, words, time_spent in (found[one] for one in family):
        kind = words.partition("--type=")[2].partition(" ")[0]
        spent[KINDS.get(kind, "others")] += time_spent
    return spent


def measure(scene: Scene, seconds: float) -> dict[str, float]:
    """Return each kind of process's share of a core, in percent."""
    with rehearsal(scene) as url, chromium(*scene.size) as driver:
        moving = [{"name": "prefers-reduced-motion", "value": "no-preference"}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": moving})
        driver.get(url)
        time.sleep(SETTLED)
        before, began = ticks(driver), time.monotonic()
        time.sleep(seconds)
        after, passed = ticks(driver), time.monotonic() - began
        scale = 100 / os.sysconf("SC_CLK_TCK") / passed
        return {kind: (after[kind] - before[kind]) * scale for kind in (*KINDS.values(), "others")}


def main() -> None:
    """Read the command line and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--size", default="1920x1080", help="CSS pixels")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}")
    for name, seen in (("one person", report("happy", 0.86)), ("nobody", report(None))):
        scene = Scene(seen, size=(width, height), settings=settings(language="en"), keep_days=0)
        shares = measure(scene, options.seconds)
        print(f"{name}: " + ", ".join(f"{kind} {share:.1f} %" for kind, share in shares.items()))


if __name__ == "__main__":
    main()
