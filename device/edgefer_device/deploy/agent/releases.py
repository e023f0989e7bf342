"""The releases of a device, and the record by which a switch between them is undone.

While `undo/undo.json` is there, the switch is not committed. Whoever finds it (the switch itself,
systemd after it died, the next boot after a power cut) restores what it holds. Doing that twice,
or half and then again, ends the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from . import files
from .layout import Layout, Refused
from .messages import Change, Checks, Manifest, Outcome, Releases, UndoRecord
from .services import Services

RECORD, MANIFEST, CHECKS = "undo.json", "release.json", "checks.json"
KEPT = 3
"""Releases that stay, the running one among them."""


def manifest(layout: Layout, name: str) -> Manifest | None:
    """Return a release's manifest; None where it is unfinished or not there."""
    return files.read_message(layout.release(name) / MANIFEST, Manifest)


def finished(layout: Layout) -> list[str]:
    """Return all finished releases, the one that was made or ran last first.

    One that was made by hand has no manifest: that it ran here counts as well.
    """
    folder = layout.home / "releases"
    used = {path.name: _last_used(layout, path.name) for path in folder.glob("*")}
    names = {name: when for name, when in used.items() if when is not None}
    return sorted(names, key=names.__getitem__, reverse=True)


def _last_used(layout: Layout, name: str) -> float | None:
    """Return when a release ran last, or was made, seconds of the epoch; None if unfinished."""
    marks = (layout.release(name) / MANIFEST, layout.snapshot(name) / RECORD)
    return max((mark.stat().st_mtime for mark in marks if mark.exists()), default=None)


def listed(layout: Layout) -> Releases:
    """Return everything about the releases, the newest first."""
    running, undo = layout.running(), pending(layout)
    found = [one for name in finished(layout) if (one := manifest(layout, name))]
    if running is not None and manifest(layout, running) is None:
        found.insert(0, Manifest(running))
    outcome = files.read_message(layout.outcome, Outcome)
    return Releases(running, undo.after if undo else None, outcome, tuple(found))


def previous(layout: Layout) -> str:
    """Return the release to roll back to; raise `Refused` where there is none."""
    for name in finished(layout):
        # Without a snapshot it never ran here, or something else went wrong with it.
        if name != layout.running() and (layout.snapshot(name) / RECORD).is_file():
            return name
    raise Refused("there is no earlier release here to go back to; see: edgefer fleet releases")


def rollback_change(layout: Layout, name: str, watch: float | None = None) -> Change:
    """Return the change that brings a release back, with the files and checks that it ran with."""
    if name == layout.running():
        raise Refused(f"release {name} runs already")
    record = files.read_message(layout.snapshot(name) / RECORD, UndoRecord)
    if manifest(layout, name) is None and record is None:
        have = ", ".join(finished(layout)) or "none"
        raise Refused(f"there is no release {name} here; there is: {have}")
    checks = files.read_message(layout.release(name) / CHECKS, Checks) or Checks()
    if watch is not None:
        checks = replace(checks, watch=watch)
    if record is None:
        return Change(name, (), ("edgefer",), checks, "rollback")
    # What its successor had enabled was not its own.
    units = tuple(unit for unit in record.units if unit not in record.enabled)
    return Change(name, record.files, units or ("edgefer",), checks, "rollback")


def prune(layout: Layout) -> list[str]:
    """Remove releases beyond the last `KEPT`, unfinished ones, and what none of them needs."""
    running, undo = layout.running(), pending(layout)
    held = {running, *((undo.before, undo.after) if undo else ())} - {None}
    rest = [name for name in finished(layout) if name not in held]
    keep = held | set(rest[: max(0, KEPT - len(held))])
    removed = _remove(layout, "releases", keep, MANIFEST)
    manifests = [one for name in finished(layout) if (one := manifest(layout, name))]
    _remove(layout, "bases", {base for one in manifests for base in one.bases}, "base.json")
    wanted = {wheel for one in manifests for wheel in one.wheels}
    for wheel in (layout.home / "wheels").glob("*.whl"):
        if wheel.name not in wanted:
            wheel.unlink()
    return removed


def _remove(layout: Layout, what: str, keep: Collection[str | None], mark: str) -> list[str]:
    gone = [path for path in sorted((layout.home / what).glob("*")) if path.name not in keep]
    for path in gone:
        # The mark of completeness first: a half is none.
        files.remove(path / mark)
        files.discard(path)
    return [path.name for path in gone]


def begin(
    layout: Layout, change: Change, paths: Iterable[str], enabled: Iterable[str]
) -> UndoRecord:
    """Record how everything is, durably; from here on a power cut leads back to it."""
    files.discard(layout.undo)
    files.make_folder(layout.undo, 0o700)
    backed_up = files.back_up(layout, paths, layout.undo)
    record = UndoRecord(layout.running(), change.release, backed_up, change.units, tuple(enabled))
    files.write_message(layout.undo / RECORD, record)
    return record


def pending(layout: Layout) -> UndoRecord | None:
    """Return the record of a switch that is not committed, or None."""
    return files.read_message(layout.undo / RECORD, UndoRecord)


def commit(layout: Layout, record: UndoRecord) -> None:
    """Make a switch count: one rename or removal, after which nothing undoes it by itself."""
    before = record.before
    if before is None or before == record.after or not layout.release(before).is_dir():
        files.remove(layout.undo / RECORD)
        return
    kept = layout.snapshot(before)
    files.discard(kept)
    layout.undo.rename(kept)
    files.sync_folder(layout.home)
    files.sync_folder(kept.parent)


def restore(layout: Layout, record: UndoRecord, services: Services, running: bool) -> None:
    """Undo a switch; `running` is False at boot, when no service has started yet."""
    for unit in record.enabled:
        services.disable(unit)
    if record.before is None:
        files.remove(layout.current)
    else:
        files.link(layout.current, f"releases/{record.before}")
    changed = files.differing(layout, record.files)
    files.install(layout, record.files, layout.undo)
    services.reload(file.path for file in changed)
    if record.before is not None and running:
        for unit in record.units:
            if unit not in record.enabled:
                services.restart(unit)
    files.remove(layout.undo / RECORD)
