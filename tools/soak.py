"""Measure what a day of a mirror leaks, in minutes.

    EDGEFER_DATA=DIR PYTHONPATH=tests python tools/soak.py [--hours 24] [--every 60]

Prints memory, open files and threads for each simulated hour, and the growth after the first.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from support.soak import Sample, Schedule, drift, simulate


def show(one: Sample) -> None:
    """Print a sample."""
    print(
        f"{one.hour:6.2f} h {one.memory_mb:7.1f} MB {one.handles:4d} handles"
        f" {one.threads:3d} threads {one.reports:8d} reports",
        flush=True,
    )


def main(arguments: list[str]) -> None:
    """Read the command line, let the time pass, print what was held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--every", type=float, default=60.0, help="simulated minutes a line")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as state:
        data = Path(os.environ["EDGEFER_DATA"])
        samples = simulate(
            data, Path(state), options.hours, Schedule(every=60 * options.every), show
        )
    print(f"growth after the first hour: {100 * drift(samples, 1.0):+.2f} %")


if __name__ == "__main__":
    main(sys.argv[1:])
