"""Which runtime and how many threads are fastest on a device, measured there once a release."""

from __future__ import annotations

import json
import shlex
from typing import Any

import msgspec

from edgefer_device.deploy import program
from edgefer_device.deploy.agent.layout import CACHE
from edgefer_device.deploy.connection import Remote, Report
from edgefer_device.deploy.model import PLACE
from edgefer_device.deploy.spec import HOME
from edgefer_device.deploy.staging import Files

MEASURE = """
import json, sys
from edgefer.bundle import open_bundle
from edgefer_device.bench.loops import Plan
from edgefer_device.bench.tune import try_all

def report(line):
    print(line, flush=True)

best, *others = try_all(open_bundle(sys.argv[1]), Plan(2.0, short=True), report)
for one in (best, *others):
    report(f"{one.runtime}, threads {one.threads}: {one.quiet:.2f} ms a face")
report(json.dumps({"runtime": best.runtime, "threads": best.threads}))
"""
"""Runs in the new release, beside the one that runs: its share of the processor counts too."""
KEEP = f"[ ! -d {CACHE}/. ] || chown -R --reference={CACHE}/. {CACHE}/."
"""The service's user has what is kept for it, once it has one (systemd.exec(5), DynamicUser=)."""


def place(release: str) -> str:
    """Return where a release keeps what was measured."""
    return f"{HOME}/releases/{release}/tuned.json"


def tune(remote: Remote, release: str, report: Report) -> None:
    """Measure on a device, and keep the fastest with the release."""
    report("measuring which runtime is fastest there")
    folder = f"{HOME}/releases/{release}"
    command = shlex.join([f"{folder}/bin/python", "-I", "-c", MEASURE, f"{folder}/{PLACE}"])
    script = f"CACHE_DIRECTORY={CACHE} {command} && {{ {KEEP}; }}"
    told = remote.run(script, "measuring which runtime is fastest", program.without_json(report))
    best = program.outcome(told)
    remote.send(json.dumps(best).encode(), place(release), 0o644)
    report(f"fastest: {', '.join(f'{key} = {value}' for key, value in best.items())}")


def measured(there: Files, release: str) -> dict[str, Any]:
    """Return the settings that were found fastest for a release; empty where nothing was."""
    kept = there.get(place(release))
    return {} if kept is None else msgspec.json.decode(kept.content, type=dict[str, Any])
