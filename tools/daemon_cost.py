"""Measure what the daemon costs while it runs: its share of a core, its memory, its latency.

    PYTHONPATH=tests python tools/daemon_cost.py 'file:CLIP?pace=real&loop=1' [--seconds 60]

Runs the daemon's own parts on a live camera, with the mirror page served and nobody looking
at it. Latency is from a frame's capture to its report; the first tenth of the time is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

import numpy as np

from edgefer.machine import machine
from edgefer.messages import Report
from edgefer_device.daemon.assembly import prepare
from edgefer_device.daemon.configuration import Config
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.pipeline.frame_rate import FrameRateSettings
from edgefer_device.pipeline.health import Health
from edgefer_device.pipeline.runner import Limit
from edgefer_device.system.process import cpu_seconds, resident_mb

WARM_UP = 0.1
"""Share of the time that does not count."""


class Stopwatch:
    """Notes when each report came, and what the process had used by then."""

    def __init__(self, health: Health) -> None:
        self._health, self._record = health, health.on_report
        self.rows: list[tuple[float, float, float]] = []
        """Wall time, processor time and latency of each report, seconds."""

    def on_report(self, report: Report) -> None:
        """Stand in for the health's own."""
        self._record(report)
        latency = self._health.latency(report)
        if latency is not None:
            self.rows.append((time.monotonic(), cpu_seconds(), latency))


def measure(camera: str, seconds: float, active: float) -> str:
    """Run the daemon so long; return what it cost, in words."""
    config = Config(
        camera=camera, sinks=("mirror:127.0.0.1:0",), frame_rate=FrameRateSettings(active=active)
    )
    assembly = prepare(config, Controls())()
    stopwatch = Stopwatch(assembly.health)
    vars(assembly.health)["on_report"] = stopwatch.on_report
    asyncio.run(assembly.pipeline.run(Limit(seconds=seconds)))
    rows = np.array(stopwatch.rows)
    rows = rows[rows[:, 0] >= rows[0, 0] + WARM_UP * seconds]
    passed, used, _ = rows[-1] - rows[0]
    p50, p90, p99 = 1000 * np.percentile(rows[:, 2], [50, 90, 99])
    return (
        f"{machine()}\n{100 * used / passed:.1f} % of one core, {resident_mb():.0f} MB, "
        f"{len(rows) / passed:.1f} reports a second; capture to mood: "
        f"p50 {p50:.1f} ms, p90 {p90:.1f} ms, p99 {p99:.1f} ms"
    )


def main(arguments: list[str]) -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("camera", metavar="CAMERA")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--active", type=float, default=FrameRateSettings().active)
    options = parser.parse_args(arguments)
    print(measure(options.camera, options.seconds, options.active))


if __name__ == "__main__":
    main(sys.argv[1:])
