"""The Grafana dashboard asks for metrics and labels that the daemon has, and shows all of ours."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from edgefer.messages import Box, Face, Report
from edgefer_device.pipeline.health import Health
from edgefer_device.sinks.prometheus import Metrics, exposition
from support.scripted import RecordingSink

DASHBOARD = Path(__file__).parents[2] / "firmware-config/grafana/edgefer.json"
METRIC = r"(?:edgefer|process)_\w+"


def exposed() -> dict[str, set[str]]:
    """The labels of each series of a daemon that has seen something."""
    health = Health()
    health.monitor_of(health.watch_sink("console", RecordingSink())).done()
    metrics = Metrics(health)
    face = Face(1, Box(0, 0, 50, 50), 0.9, "happy", {"happy": 0.8})
    asyncio.run(metrics.publish(Report(0.0, 0, (face,), "happy", 0.8)))
    text = exposition(metrics, "")[0].decode()
    series: dict[str, set[str]] = {}
    for name, labels in re.findall(rf"^({METRIC})(?:\{{(.*)\}})? ", text, re.MULTILINE):
        series[name] = set(re.findall(r"(\w+)=", labels)) | {"instance"}
    return series


def asked() -> list[tuple[str, str]]:
    """Each query and its legend."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [(target["expr"], target["legendFormat"]) for one in panels for target in one["targets"]]


def test_it_asks_for_what_exists() -> None:
    series = exposed()
    for query, legend in asked():
        names = re.findall(METRIC, query)
        assert names
        assert set(names) <= set(series), query
        (name, *_) = names
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= series[name], legend
        assert set(re.findall(r"by \((\w+)\)", query)) <= series[name], query


def test_it_shows_every_metric_of_ours() -> None:
    ours = {name for name in exposed() if name.startswith("edgefer_")}
    ours -= {"edgefer_latency_seconds_count", "edgefer_latency_seconds_sum"}  # of the histogram
    ours = {name for name in ours if not name.endswith("_created")}
    assert ours == {name for query, _ in asked() for name in re.findall(r"edgefer_\w+", query)}
