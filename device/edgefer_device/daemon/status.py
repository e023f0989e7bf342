"""The status of a running daemon, as `edgefer status` and systemd show it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from edgefer import __version__
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.pipeline.health import Part
from edgefer_device.system.address import redacted
from edgefer_device.system.clock import duration
from edgefer_device.system.process import cpu_seconds, resident_mb

if TYPE_CHECKING:
    from rich.console import Console

    from edgefer_device.daemon.assembly import Assembly


class Status(msgspec.Struct, frozen=True):
    """The JSON of `edgefer status --json`."""

    version: str
    pid: int
    uptime: float
    """Seconds since the start."""
    ok: bool
    """Whether every part works."""
    paused: bool
    camera: str
    """The camera's address, without its password."""
    camera_open: bool
    mood: str | None
    """None when there is no face, no frame or a pause."""
    confidence: float | None
    """Filtered probability of `mood`, 0..1."""
    faces: int
    rate: float
    """Frames analysed a second; 0 is every one."""
    analysed: int
    """Frames analysed since the start."""
    memory_mb: float
    """Resident memory, million bytes."""
    cpu_seconds: float
    """Processor time since the start, all threads."""
    celsius: float | None
    """The hottest sensor of the processor; None without one."""
    hot: bool
    """Whether the rate is lowered because the machine is hot or throttled."""
    threshold: float
    page: str | None
    """The address of the mirror page, with its token; None where none is served."""
    parts: dict[str, Part]
    refused: str | None = None
    """Why the last reload was refused; None where it was not."""
    volatility: str | None = None
    """What a state folder in memory means for a pause; None for one on a disk."""
    calibration: str | None = None
    """The household's own, or why it is not used; None where there is none."""


def status_of(
    now: Assembly, controls: Controls, uptime: float, refused: str | None, volatility: str | None
) -> Status:
    """Return the status of a running assembly, `uptime` seconds after the daemon's start.

    `refused` and `volatility` are as in `Status`.
    """
    health, heat = now.health, now.frame_rate.heat
    seen = None if controls.paused else now.sinks.metrics.present
    state, threshold = health.state(), controls.threshold
    return Status(
        version=__version__,
        pid=os.getpid(),
        uptime=round(uptime, 1),
        ok=state.ok,
        paused=controls.paused,
        camera=redacted(now.config.camera),
        camera_open=now.camera.open,
        mood=seen.mood if seen else None,
        confidence=seen.confidence if seen else None,
        faces=len(seen.faces) if seen else 0,
        rate=0.0 if controls.paused else now.frame_rate.wanted,
        analysed=health.analysed,
        memory_mb=round(resident_mb(), 1),
        cpu_seconds=round(cpu_seconds(), 2),
        celsius=heat.celsius if heat else None,
        hot=now.frame_rate.hot,
        threshold=now.threshold if threshold is None else threshold,
        page=now.sinks.page,
        parts=state.parts,
        refused=refused,
        volatility=volatility,
        calibration=now.enrollment.calibration,
    )


def headline(status: Status) -> str:
    """Return the status in one line, as systemd shows it."""
    if status.paused:
        return "paused: the camera is closed"
    failed = [f"{name}: {part.note}" for name, part in status.parts.items() if not part.ok]
    if failed:
        return f"degraded: {'; '.join(failed)}"
    return "running, a face in view" if status.faces else "running, no face in view"


def show(status: Status, console: Console | None = None) -> None:
    """Print the status as a table."""
    # The daemon itself uses this module too, and has no use for rich.
    from rich.table import Table

    from edgefer.terminal import Terminal, styled

    console = console or Terminal()
    console.print(styled((headline(status), "bold")))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for row in _rows(status):
        table.add_row(*row)
    for name, part in status.parts.items():
        table.add_row(name, _part(part))
    console.print(table)


def _part(part: Part) -> str:
    age = "" if part.age is None else f", {part.age:.1f} s ago"
    dropped = f", dropped: {part.dropped:,}" if part.dropped else ""
    return (part.note or f"ok{age}") + dropped


def _rows(status: Status) -> list[tuple[str, str]]:
    confidence = "" if status.confidence is None else f" {100 * status.confidence:.0f} %"
    rate = f"{status.rate:g} a second" if status.rate else "every one"
    share = 100 * status.cpu_seconds / max(status.uptime, 0.001)
    rows = [
        ("edgefer", f"{status.version}, PID {status.pid}, up {duration(status.uptime)}"),
        ("camera address", status.camera + ("" if status.camera_open else " (closed)")),
        ("mood", f"{status.mood or 'none'}{confidence}, faces: {status.faces}"),
        ("frames", ("none" if status.paused else rate) + (", lowered: hot" if status.hot else "")),
        ("memory", f"{status.memory_mb:.0f} MB"),
        ("processor", f"{share:.1f} % of one core"),
    ]
    if status.refused is not None:
        rows.append(("last reload", f"refused: {status.refused}"))
    if status.volatility is not None:
        rows.append(("state", status.volatility))
    if status.calibration is not None:
        rows.append(("own calibration", status.calibration))
    if status.celsius is not None:
        rows.append(("temperature", f"{status.celsius:.0f} °C"))
    return rows if status.page is None else [*rows, ("mirror page", status.page)]
