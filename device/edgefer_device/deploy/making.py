"""Making a release on a device: a virtual environment of wheels, and the model."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from edgefer import __version__
from edgefer_device.deploy import carried
from edgefer_device.deploy.connection import Remote, Say
from edgefer_device.deploy.model import PLACE
from edgefer_device.deploy.order import HOME, Order
from edgefer_device.deploy.plan import Plan
from edgefer_device.deploy.wheels import Wheelhouse

WHEELS = f"{HOME}/wheels"
MAKE = r"""
set -eu
release=$home/releases/$id
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
rm -rf "$release"
mkdir -p "$home/releases"
# It stays unfinished until release.json is there, and is made anew the next time.
/usr/bin/python3 -m venv --without-pip $site "$release"
pip() {
    "$release/bin/python" "$home/wheels/$pip/pip" install --quiet $index \
        --find-links "$home/wheels" --constraint "$home/pins.txt" "$@"
}
eval "pip $packages"
eval "pip --no-deps $assets"
mv "$home/incoming.zip" "$release/$model"
# On the disk before what says that it is whole.
sync -f "$release"
printf '%s\n' "$manifest" >"$release/release.json.part"
sync "$release/release.json.part"
mv "$release/release.json.part" "$release/release.json"
sync -f "$release"
"""


def make_release(remote: Remote, order: Order, plan: Plan, say: Say) -> None:
    """Make the release of a plan on a device; it is there whole, or not at all."""
    house = Wheelhouse(order.house / plan.python.name)
    say(f"fetching wheels for Python {plan.python.dotted} on {plan.python.machine}")
    assets = house.data(carried.assets(), order.assets, plan.python)
    if order.offline:
        needed = house.closure(order.wheel, order.target.extra, plan.pins, plan.python)
    else:
        needed = [house.pip(plan.python)]
    wheels = [order.wheel, *needed, *assets]
    _send(remote, wheels, say)
    remote.send(str(plan.pins).encode(), f"{HOME}/pins.txt", 0o644)
    remote.send(order.model.content, f"{HOME}/incoming.zip", 0o644)
    say(f"making release {plan.release}")
    script = _script(order, plan, wheels, [_pinned(wheel) for wheel in assets])
    remote.run(script, f"making release {plan.release}", say)


def _send(remote: Remote, wheels: Iterable[Path], say: Say) -> None:
    """Send the wheels that are not there; one look at all of them tells which."""
    listing = f"cd {WHEELS} 2>/dev/null && sha256sum -- *.whl 2>/dev/null; true"
    known = set(remote.run(listing, "looking at its wheels").splitlines())
    held = {wheel: wheel.read_bytes() for wheel in wheels}
    missing = {
        wheel: content
        for wheel, content in held.items()
        if f"{sha256(content).hexdigest()}  {wheel.name}" not in known
    }
    if missing:
        say(f"sending {len(missing)} wheels, {sum(map(len, missing.values())) / 1e6:.0f} MB")
    for wheel, content in missing.items():
        remote.send(content, f"{WHEELS}/{wheel.name}", 0o644)


def _script(order: Order, plan: Plan, wheels: list[Path], assets: list[str]) -> str:
    """Return the shell script that makes it, what it is about in variables before."""
    own = f"edgefer[device] @ file://{WHEELS}/{order.wheel.name}"
    variables = {
        "home": HOME,
        "id": plan.release,
        "site": "--system-site-packages" if order.target.system_site else "",
        "pip": next(wheel.name for wheel in wheels if wheel.name.startswith("pip-")),
        "index": "--no-index" if order.offline else "",
        "packages": shlex.join([own, *order.target.extra]),
        "assets": shlex.join(assets),
        "model": PLACE,
        "manifest": json.dumps(_manifest(order, plan, wheels)),
    }
    head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    return head + MAKE


def _manifest(order: Order, plan: Plan, wheels: list[Path]) -> dict[str, Any]:
    """Return release.json."""
    return {
        "id": plan.release,
        "version": __version__,
        "model": order.model.name,
        "model_sha256": order.model.sha256,
        "formats": list(order.model.formats),
        "target": order.target.name,
        "python": plan.python.dotted,
        "made": int(time.time()),
        "wheels": [wheel.name for wheel in wheels],
    }


def _pinned(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name.replace('_', '-')}=={version}"
