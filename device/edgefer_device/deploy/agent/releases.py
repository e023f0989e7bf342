"""The releases of a device: which there are, which to go back to, which to let go."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from . import durable, files, undo
from .files import File
from .health import Checks
from .layout import KEPT, Layout, Refused
from .switching import Change


def listed(layout: Layout) -> dict[str, Any]:
    """Return everything about the releases, the newest first, for `edgefer releases`."""
    running = layout.running()
    found = [layout.manifest(name) for name in layout.finished()]
    if running is not None and layout.manifest(running) is None:
        found.insert(0, {"id": running, "version": None, "model": None, "target": None})
    left = undo.pending(layout)
    return {
        "running": running,
        "pending": left.after if left else None,
        "outcome": durable.read_json(layout.outcome),
        "releases": [table for table in found if table is not None],
    }


def previous(layout: Layout) -> str:
    """Return the release to go back to; raise `Refused` where there is none."""
    running = layout.running()
    # Without `was` it never ran here, or something else went wrong with it.
    for name in layout.finished():
        if name != running and (layout.release(name) / "was" / undo.RECORD).is_file():
            return name
    raise Refused("there is no earlier release here to go back to; see: edgefer releases")


def rollback_change(layout: Layout, name: str, checks: Checks) -> Change:
    """Return the change that brings a release back, with the files that it ran with."""
    if name == layout.running():
        raise Refused(f"release {name} runs already")
    folder = layout.release(name) / "was"
    table = durable.read_json(folder / undo.RECORD)
    if layout.manifest(name) is None and table is None:
        have = ", ".join(layout.finished()) or "none"
        raise Refused(f"there is no release {name} here; there is: {have}")
    kept = tuple(File.read(file) for file in table["files"]) if table else ()
    # What its successor had started for the first time was not its own.
    units = [unit for unit in table["units"] if unit not in table["enabled"]] if table else []
    return Change(name, kept, tuple(units) or ("edgefer",), checks, folder, action="rollback")


def checks_of(layout: Layout, name: str, given: dict[str, Any]) -> Checks:
    """Return what was asked of a release when it was deployed, with what is `given` before it."""
    asked = durable.read_json(layout.release(name) / "checks.json") or {}
    return Checks.read({**asked, **given})


def prune(layout: Layout) -> list[str]:
    """Remove releases beyond the last `KEPT`, unfinished ones, and what none of them needs."""
    running, pending = layout.running(), undo.pending(layout)
    held = {running, *((pending.before, pending.after) if pending else ())} - {None}
    rest = [name for name in layout.finished() if name not in held]
    keep = held | set(rest[: max(0, KEPT - len(held))])
    gone = _remove(layout, "releases", keep, "release.json")
    manifests = [layout.manifest(name) or {} for name in layout.finished()]
    bases = {base for table in manifests for base in table.get("bases", ())}
    _remove(layout, "bases", bases, "base.json")
    wanted = {wheel for table in manifests for wheel in table.get("wheels", ())}
    for wheel in (layout.home / "wheels").glob("*.whl"):
        if wheel.name not in wanted:
            wheel.unlink()
    return gone


def _remove(layout: Layout, what: str, keep: Collection[str | None], mark: str) -> list[str]:
    gone = [path for path in sorted((layout.home / what).glob("*")) if path.name not in keep]
    for path in gone:
        # First what says that it is whole: a half is none.
        durable.remove(path / mark)
        files.discard(path)
    return [path.name for path in gone]
