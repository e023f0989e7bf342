"""Which runtime and how many threads are fastest on a device, measured there once a release."""

from __future__ import annotations

import json
import shlex
from typing import Any

import msgspec

from edgefer_device.deploy.connection import Remote, Say
from edgefer_device.deploy.model import PLACE
from edgefer_device.deploy.order import HOME
from edgefer_device.deploy.staging import Files

MEASURE = """
import json, sys
from edgefer.bundle import open_bundle
from edgefer_device.bench.loops import Plan
from edgefer_device.bench.tune import try_all

best, *others = try_all(open_bundle(sys.argv[1]), Plan(2.0, short=True))
for one in (best, *others):
    words = f"{one.runtime}, {one.threads} threads"
    print(f"{words}: {one.p50:.2f} ms a face", file=sys.stderr)
print(json.dumps({"runtime": best.runtime, "threads": best.threads}))
"""
"""Runs in the new release, beside the one that runs: its share of the processor counts too."""


def place(release: str) -> str:
    """Return where a release keeps what was measured."""
    return f"{HOME}/releases/{release}/tuned.json"


def tune(remote: Remote, release: str, say: Say) -> None:
    """Measure on a device, and keep the fastest with the release."""
    say("measuring which runtime is fastest there")
    folder = f"{HOME}/releases/{release}"
    command = shlex.join([f"{folder}/bin/python", "-I", "-c", MEASURE, f"{folder}/{PLACE}"])
    best = remote.run(command, "measuring which runtime is fastest")
    remote.send(best.encode(), place(release), 0o644)
    say(f"fastest: {', '.join(f'{key} = {value}' for key, value in json.loads(best).items())}")


def measured(there: Files, release: str) -> dict[str, Any]:
    """Return the settings that were found fastest for a release; empty where nothing was."""
    kept = there.get(place(release))
    return {} if kept is None else msgspec.json.decode(kept.content, type=dict[str, Any])
