"""All checks in their order, and how they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from edgefer import edgetpu
from edgefer.errors import EdgeferError
from edgefer_device.doctor import camera_checks as sight
from edgefer_device.doctor import installation as parts
from edgefer_device.doctor import machine, services
from edgefer_device.doctor.check import first_line, looked_at
from edgefer_device.system.check import Check, Level, check_architecture, check_python, fail, ok

if TYPE_CHECKING:
    from edgefer_device.daemon.configuration import Config

COLOURS = {Level.ok: "green", Level.warn: "yellow", Level.fail: "red"}


class Diagnosis(msgspec.Struct, frozen=True):
    """Everything that was looked at; JSON of `edgefer doctor --json`."""

    well: bool
    """Whether nothing failed."""
    checks: tuple[Check, ...]


Look = tuple[str, Callable[[], Check]]
"""What is looked at, and how."""


def diagnose(path: Path | None) -> Diagnosis:
    """Look at this machine, and at what a configuration file names, or the defaults."""
    config = _config(path)
    looks = [*_machine(), *([] if isinstance(config, Check) else _named(config))]
    checks = [looked_at(what, look) for what, look in looks]
    settings = config if isinstance(config, Check) else ok("settings", str(path or "the defaults"))
    checks.insert(len(_machine()), settings)
    return Diagnosis(all(check.level is not Level.fail for check in checks), tuple(checks))


def _machine() -> list[Look]:
    return [
        ("system", machine.check_system),
        ("architecture", check_architecture),
        ("python", check_python),
        ("memory", machine.check_memory),
        ("limits", machine.check_limits),
        ("clock", machine.check_clock),
        ("throttling", machine.check_throttling),
        ("heat", machine.check_heat),
        ("numpy", parts.check_numpy),
        ("opencv", parts.check_opencv),
        ("litert", parts.check_litert),
        ("camera stack", sight.check_stack),
        ("permission", sight.check_permission),
    ]


def _named(config: Config) -> Iterator[Look]:
    """What a configuration names."""
    yield "edgetpu", partial(parts.check_edgetpu, wanted=config.runtime == edgetpu.NAME)
    yield "model", partial(parts.check_model, config.model, config.runtime)
    yield "detector", partial(parts.check_detector, config.detector)
    yield "camera", partial(sight.check_camera, config.camera)
    yield "state", partial(services.check_state, config.state)
    for uri in config.sinks:
        scheme, _, place = uri.partition(":")
        if scheme in ("mqtt", "mqtts"):
            yield "broker", partial(services.check_broker, uri, config.mqtt)
        if scheme == "jsonl" and not place.startswith("-"):
            folder = Path(place.partition("?")[0]).parent
            yield "jsonl", partial(services.writable, "jsonl", folder)


def _config(path: Path | None) -> Config | Check:
    try:
        from edgefer_device.daemon.configuration import load_config

        return load_config(path)
    except EdgeferError as exc:
        return fail("settings", str(exc), "mend the file")
    # What it imports may be broken, which the checks of the parts tell.
    except Exception as exc:
        return fail(
            "settings", f"cannot be read: {first_line(exc)}", "fix the failing checks above first"
        )


def describe(checks: Sequence[Check]) -> str:
    """Return a line for each check: `warn  clock  nothing keeps it right; run: ...`."""
    widest = max(len(check.what) for check in checks)
    lines = []
    for check in checks:
        level = click.style(f"{check.level.value:<4}", fg=COLOURS[check.level])
        advice = f"; {check.advice}" if check.advice else ""
        lines.append(f"{level}  {check.what:<{widest}}  {check.found}{advice}")
    return "\n".join(lines)
