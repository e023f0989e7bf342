"""Making a release on a device: edgefer and a model over a base of everything that it needs.

A base is a virtual environment of its own, the same for all releases with the same pins: an
update is made in seconds and takes little of a card, and a release that runs is never touched.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from packaging.utils import parse_wheel_filename

from edgefer import __version__
from edgefer.errors import CommandFailed
from edgefer.files import cache_folder
from edgefer_device.deploy.agent.layout import AS_SERVICE, HOME, MODEL
from edgefer_device.deploy.agent.messages import Manifest, Tuned, to_json
from edgefer_device.deploy.agent_client import parsed, without_json
from edgefer_device.deploy.connection import Remote, Report, shell_variables
from edgefer_device.deploy.plan import Plan, tuned_file
from edgefer_device.deploy.spec import DeploySpec
from edgefer_device.deploy.wheels import Wheelhouse, file_hash

WHEELS = f"{HOME}/wheels"
LAST_TRY = "WARNING: Retrying (Retry(total=0,"
"""pip's output before its last attempt to reach an index. Without one it ends in `conflicting
dependencies`: it knows no version that meets the pins."""
NO_INDEX = (
    "pip there reaches no package index; is the device online? With --offline its wheels come "
    "from this machine"
)
MAKE = (Path(__file__).parent / "scripts" / "make_release.sh").read_text()


def make_release(remote: Remote, spec: DeploySpec, plan: Plan, report: Report) -> None:
    """Make the release of a plan on a device; it is there whole, or not at all."""
    pins, python = plan.pins, plan.pins.python
    own = spec.request.wheelhouse
    house = Wheelhouse(own or cache_folder() / "wheels", python, named=own is not None)
    report(f"fetching wheels for Python {python.dotted} on {python.machine}")
    named = [] if spec.onnx is None else [spec.onnx]
    needed = pins.needed if spec.request.offline else ()
    wheels = [spec.wheel, *named, *house.fetch([pins.pip, *needed, *pins.data])]
    _send(remote, wheels, report)
    texts = {
        "base": [*map(str, pins.needed), *map(sent, named)],
        "data": map(str, pins.data),
        "own": [sent(spec.wheel)],
    }
    for name, lines in texts.items():
        remote.send("".join(lines).encode(), f"{HOME}/{name}.txt", 0o644)
    remote.send(spec.model.content, f"{HOME}/incoming.zip", 0o644)
    report(f"making release {plan.release}")
    script = _script(spec, plan, wheels)
    _run(remote, script, f"making release {plan.release}", report)


def _run(remote: Remote, script: str, action: str, report: Report) -> None:
    """Run the script; raise `CommandFailed`, with the cause where pip reached no index."""
    given_up: list[str] = []

    def watch(line: str) -> None:
        if LAST_TRY in line:
            given_up.append(line)
        report(line)

    try:
        remote.run(script, action, watch)
    except CommandFailed as exc:
        if not given_up:
            raise
        raise CommandFailed(f"{action}: {NO_INDEX}", exc.status) from exc


def _send(remote: Remote, wheels: Iterable[Path], report: Report) -> None:
    """Send the wheels that are missing there, by their hashes."""
    listing = f"cd {WHEELS} 2>/dev/null && sha256sum -- *.whl 2>/dev/null; true"
    known = set(remote.run(listing, "looking at its wheels").splitlines())
    held = {wheel: wheel.read_bytes() for wheel in wheels}
    missing = {
        wheel: content
        for wheel, content in held.items()
        if f"{sha256(content).hexdigest()}  {wheel.name}" not in known
    }
    if missing:
        report(f"sending {len(missing)} wheels, {sum(map(len, missing.values())) / 1e6:.0f} MB")
    for wheel, content in missing.items():
        remote.send(content, f"{WHEELS}/{wheel.name}", 0o644)


def _script(spec: DeploySpec, plan: Plan, wheels: list[Path]) -> str:
    """Return the shell script that makes it, what it is about in variables before."""
    variables = {
        "home": HOME,
        "id": plan.release,
        "base": plan.bases[0],
        "data": plan.bases[1],
        "site": "--system-site-packages" if spec.target.system_site else "",
        "packages": f"lib/python{plan.pins.python.dotted}/site-packages",
        "pip": next(wheel.name for wheel in wheels if wheel.name.startswith("pip-")),
        "index": "--no-index" if spec.request.offline else "",
        "model": MODEL,
        "manifest": to_json(_manifest(spec, plan, wheels)),
    }
    return shell_variables(variables) + MAKE


def _manifest(spec: DeploySpec, plan: Plan, wheels: list[Path]) -> Manifest:
    return Manifest(
        id=plan.release,
        version=__version__,
        model=spec.model.name,
        model_sha256=spec.model.sha256,
        formats=spec.model.formats,
        target=spec.target.name,
        python=plan.pins.python.dotted,
        made=int(time.time()),
        bases=plan.bases,
        wheels=tuple(wheel.name for wheel in wheels),
    )


def sent(wheel: Path) -> str:
    """Return the requirement of a wheel that was sent to a device (PEP 508), with its hash."""
    name = parse_wheel_filename(wheel.name)[0]
    return f"{name} @ file://{WHEELS}/{wheel.name} --hash={file_hash(wheel)}\n"


MEASURE = """
import json, sys
from edgefer_device.bench.loops import Plan
from edgefer_device.bench.tune import try_all
from edgefer_device.daemon.configuration import Config, model_of

def report(line):
    print(line, flush=True)

bundle = model_of(Config(model=sys.argv[1], signed_by=sys.argv[2] or None))
best, *others = try_all(bundle, Plan(2.0, short=True), report)
for one in (best, *others):
    report(f"{one.runtime}, threads {one.threads}: {one.best_second:.2f} ms a face")
report(json.dumps({"runtime": best.runtime, "threads": best.threads}))
"""
"""Runs in the new release, beside the one that runs: its share of the processor counts too."""


def tune(remote: Remote, release: str, signed_by: str | None, report: Report) -> None:
    """Measure which runtime is fastest on a device, and keep it with the release.

    `signed_by` is the key's file there which must have signed the model.
    """
    action = "measuring which runtime is fastest"
    report(f"{action} there")
    folder = f"{HOME}/releases/{release}"
    given = (f"{folder}/{MODEL}", signed_by or "")
    measuring = (f"{folder}/bin/python", "-I", "-c", MEASURE, *given)
    script = shlex.join(["sh", "-c", AS_SERVICE, "sh", *measuring])
    best = parsed(Tuned, remote.run(script, action, without_json(report)), action)
    remote.send(to_json(best).encode(), tuned_file(release), 0o644)
    report(f"fastest: runtime = {best.runtime}, threads = {best.threads}")
