"""What one host lacks of a spec, in words and as files: the whole of a dry run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from edgefer import litert
from edgefer.errors import HostRefused
from edgefer.messages import NOT_JSON
from edgefer.text_files import decode_text, read_text
from edgefer_device.daemon.configuration import Config
from edgefer_device.deploy import artifacts, staging
from edgefer_device.deploy.agent.layout import HOME
from edgefer_device.deploy.agent.messages import Change, Checks, File
from edgefer_device.deploy.connection import Remote
from edgefer_device.deploy.merge import Merged, checked, deployed, merge
from edgefer_device.deploy.preflight import Machine
from edgefer_device.deploy.spec import DeploySpec
from edgefer_device.deploy.staging import DEPLOYED, GUARD, SETTINGS, Files, Placed
from edgefer_device.deploy.wheels import Pins
from edgefer_device.system.paths import SYSTEM

OLD_CAGE = "12 (bookworm)"
CAGE_LIMIT = "the cage of Debian 12 cannot switch or rotate the screen; that of Debian 13 can"


@dataclass(frozen=True, slots=True)
class Plan:
    """The way of one host to its spec."""

    release: str
    bases: tuple[str, str]
    """What it stands on."""
    pins: Pins
    """What its wheels are chosen by, the Python of the host included."""
    made: bool
    """Whether the release is there, and whole."""
    tuned: bool
    """Whether the fastest runtime has been measured for it, or need not be."""
    running: str | None
    there: Files
    """The files that the device has of those below."""
    files: Files
    """All files that it is to have and that may change with a release."""
    guard: Placed
    """The unit that undoes a switch at boot."""
    merged: Merged
    config: Config
    missing: tuple[str, ...]
    """Debian packages."""
    limits: tuple[str, ...]
    """What keeps the device from what its target could do, in words."""

    @property
    def differing(self) -> list[str]:
        """The paths of files that are different there, or missing."""
        return [path for path, file in self.files.items() if self.there.get(path) != file]

    @property
    def changes(self) -> list[str]:
        """Everything that would be different afterwards, in words."""
        return list(self._changes())

    def _changes(self) -> Iterator[str]:
        for package in self.missing:
            yield f"install {package}"
        if not self.made:
            yield f"make release {self.release} for Python {self.pins.python.dotted}"
        if not self.tuned:
            yield "measure which runtime is fastest there"
        if self.there.get(GUARD) != self.guard:
            yield f"write {GUARD}"
        for path in self.differing:
            if path != SETTINGS:
                yield f"{'change' if path in self.there else 'write'} {path}"
        for line in self.merged.changed:
            yield f"set {line} in {SETTINGS}"
        if self.running != self.release:
            yield f"switch from {self.running or 'nothing'} to {self.release}"

    @property
    def notes(self) -> list[str]:
        """What may surprise, in words: also what somebody set on the device against the spec."""
        kept = [
            f"{SETTINGS} keeps {line}, which was set on the device" for line in self.merged.kept
        ]
        return [*self.limits, *kept]


def plan(remote: Remote, spec: DeploySpec, machine: Machine, host: str) -> Plan:
    """Compare a host with a spec; raise `DeployError` or `SettingsError` for what cannot be."""
    pins = _pins(spec, machine, host)
    release = spec.release(pins)
    options = (spec.target.name, bool(spec.entry.kiosk), bool(spec.entry.broker))
    secrets = {f"/etc/edgefer/{name}": text for name, text in spec.request.secrets.items()}
    mark, tuned = f"{HOME}/releases/{release}/release.json", tuned_file(release)
    there = staging.read(remote, [*staging.wanted_paths(*options), *secrets, mark, tuned])
    note = _off_the_chip(spec, machine)
    best = measured(there, release)
    if not best and litert.EDGETPU in spec.target.formats and note is None:
        best = {"runtime": litert.EDGETPU}
    old_cage = spec.entry.kiosk and OLD_CAGE in machine.fields["system"]
    wanted = spec.wanted(best, screen=not old_cage)
    limits = tuple(filter(None, (note, CAGE_LIMIT if old_cage else None)))
    merged = _merged(wanted, there, host)
    files = staging.wanted(*options, there)
    guard = files.pop(GUARD)
    mode = there[SETTINGS].mode if SETTINGS in there else 0o644
    files[SETTINGS] = Placed(merged.text.encode(), mode)
    files[DEPLOYED] = Placed(deployed(wanted).encode(), 0o600)
    files |= {path: Placed(content, 0o600) for path, content in secrets.items()}
    made = mark in there and _is_whole(there[mark].content)
    is_tuned = tuned in there or not (spec.request.tune or spec.target.tune)
    config = checked(merged.text, host)
    return Plan(
        release, spec.bases(pins), pins, made, is_tuned, machine.running, there, files, guard,
        merged, config, machine.missing, limits,
    )  # fmt: skip


def _pins(spec: DeploySpec, machine: Machine, host: str) -> Pins:
    """Return what wheels are chosen by; raise `HostRefused` for a wheel of another Python."""
    python = machine.python(spec.target.system_numpy)
    if spec.onnx is not None and not python.takes(spec.onnx):
        raise HostRefused(
            f"{host}: {spec.onnx.name} is not for its Python {python.dotted} on {python.machine}"
        )
    return artifacts.pins(python, spec.target.onnx, spec.onnx is not None, spec.assets)


def tuned_file(release: str) -> str:
    """Return where a release keeps which runtime is fastest there."""
    return f"{HOME}/releases/{release}/tuned.json"


def measured(there: Files, release: str) -> dict[str, Any]:
    """Return the settings that were measured fastest for a release, empty where there are none."""
    kept = there.get(tuned_file(release))
    try:
        return msgspec.json.decode(kept.content, type=dict[str, Any]) if kept else {}
    except NOT_JSON:
        return {}


def change(plan: Plan, spec: DeploySpec) -> Change:
    """Return the change that the agent on the device is to make."""
    units = ["edgefer-power"] if spec.target.name == "jetson" else []
    units += ["edgefer", *(["edgefer-kiosk"] if spec.entry.kiosk else [])]
    files = [File(path, file.mode, file.sha256) for path, file in sorted(plan.files.items())]
    checks = Checks(
        deadline=spec.request.deadline,
        watch=spec.request.watch,
        state=plan.config.state or SYSTEM.as_posix(),
        camera=spec.entry.camera is not False,
    )
    return Change(plan.release, tuple(files), tuple(units), checks)


def _merged(wanted: dict[str, Any], there: Files, host: str) -> Merged:
    shipped = read_text(artifacts.firmware_config() / "common" / "edgefer.toml")
    own, before = (
        decode_text(there[path].content, f"{host}: {path}") if path in there else default
        for path, default in ((SETTINGS, shipped), (DEPLOYED, ""))
    )
    return merge(own, before, shipped, wanted, host)


def _off_the_chip(spec: DeploySpec, machine: Machine) -> str | None:
    """Return why a Coral's model runs on the processor all the same; None where it does not."""
    if litert.EDGETPU not in spec.target.formats:
        return None
    if litert.EDGETPU not in spec.model.formats:
        return f"{spec.model.name} has no file for the Edge TPU, so it runs on the processor"
    if not machine.has_libedgetpu:
        missing = f"{litert.EDGETPU_LIBRARY} is missing there"
        return f"{missing}, so the model runs on the processor; {litert.EDGETPU_INSTALL}"
    return None


def _is_whole(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
