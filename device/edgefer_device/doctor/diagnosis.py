"""All checks of `edgefer doctor`, in their order, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edgefer.console import Part
from edgefer.errors import EdgeferError
from edgefer_device.doctor import camera_checks, installation, machine, services
from edgefer_device.doctor.installation import REINSTALL
from edgefer_device.system.check import (
    Check,
    Level,
    check_architecture,
    check_python,
    fail,
    first_line,
    ok,
)
from edgefer_device.system.paths import user_path

if TYPE_CHECKING:
    from edgefer_device.daemon.configuration import Config

COLOURS = {Level.ok: "green", Level.warn: "yellow", Level.fail: "red"}
FIX_OTHERS = "fix the failing checks above first"


class NamedCheck(NamedTuple):
    """A check, and the advice for when it raises."""

    what: str
    run: Callable[[], Check]
    advice: str = FIX_OTHERS

    def result(self) -> Check:
        """Return the result; one that raises has failed, and hides none of the others."""
        try:
            return self.run()
        except Exception as exc:
            return fail(self.what, f"check failed: {first_line(exc)}", self.advice)


MACHINE = (
    NamedCheck("system", machine.check_system),
    NamedCheck("architecture", check_architecture),
    NamedCheck("python", check_python),
    NamedCheck("memory", machine.check_memory),
    NamedCheck("limits", machine.check_limits),
    NamedCheck("clock", machine.check_clock),
    NamedCheck("throttling", machine.check_throttling),
    NamedCheck("heat", machine.check_heat),
    NamedCheck("numpy", installation.check_numpy, REINSTALL),
    NamedCheck("opencv", installation.check_opencv, REINSTALL),
    NamedCheck("litert", installation.check_litert, REINSTALL),
    NamedCheck("onnxruntime", installation.check_onnxruntime, REINSTALL),
    NamedCheck("camera stack", camera_checks.check_stack),
    NamedCheck("permission", camera_checks.check_permission),
)


class Diagnosis(msgspec.Struct, frozen=True):
    """The results of all checks; JSON of `edgefer doctor --json`."""

    ok: bool
    """Whether nothing failed."""
    checks: tuple[Check, ...]


def diagnose(path: Path | None) -> Diagnosis:
    """Check this machine, and what a configuration file or the defaults name."""
    config = _load(path)
    checks = [check.result() for check in MACHINE]
    if isinstance(config, Check):
        checks.append(config)
    else:
        checks.append(ok("configuration", str(path or "the defaults")))
        checks += [check.result() for check in _configured(config)]
    return Diagnosis(all(check.level is not Level.fail for check in checks), tuple(checks))


def _configured(config: Config) -> Iterator[NamedCheck]:
    """Yield the checks of what a configuration names."""
    edge_tpu = partial(installation.check_edgetpu, wanted=config.runtime == "edgetpu")
    model = partial(installation.check_model, config)
    detector = partial(installation.check_detector, config.detector)
    yield NamedCheck("edgetpu", edge_tpu)
    yield NamedCheck("rknn", partial(installation.check_rknn, config.runtime == "rknn"))
    yield NamedCheck("model", model, REINSTALL)
    yield NamedCheck("detector", detector, REINSTALL)
    yield NamedCheck("camera", partial(camera_checks.check_camera, config.camera))
    yield NamedCheck("state", partial(services.check_state, config.state))
    if config.history.keep_days:
        yield NamedCheck("history", partial(services.check_history, config.state))
    for uri in config.sinks:
        scheme, _, place = uri.partition(":")
        if scheme in ("mqtt", "mqtts"):
            yield NamedCheck("broker", partial(services.check_broker, uri, config.mqtt))
        if scheme == "jsonl" and not place.startswith("-"):
            folder = user_path(place.partition("?")[0]).parent
            yield NamedCheck("jsonl", partial(services.check_writable, "jsonl", folder))


def _load(path: Path | None) -> Config | Check:
    try:
        from edgefer_device.daemon.configuration import load_config

        return load_config(path)
    except EdgeferError as exc:
        return fail("configuration", str(exc), "fix the file")
    # What it imports may be broken, which the checks of the installation show.
    except Exception as exc:
        return fail("configuration", f"not readable: {first_line(exc)}", FIX_OTHERS)


def describe(checks: Sequence[Check]) -> list[list[Part]]:
    """Return a line for each check: `warn  clock  not synchronised; run: ...`."""
    widest = max(len(check.what) for check in checks)
    lines = list[list[Part]]()
    for check in checks:
        level = (f"{check.level.value:<4}", COLOURS[check.level])
        advice = f"; {check.advice}" if check.advice else ""
        lines.append([level, f"  {check.what:<{widest}}  {check.found}{advice}"])
    return lines
