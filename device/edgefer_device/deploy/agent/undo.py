"""The log by which a switch is undone: written before anything changes, gone when it counts.

While `undo/undo.json` is there, what runs is not committed. Whoever finds it (the switch itself,
systemd after it died, the next boot after a power cut) brings back what it holds. Doing that
twice, or half and then again, ends the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from . import durable, files
from .files import File
from .layout import Layout
from .services import Services

RECORD = "undo.json"


@dataclass(frozen=True, slots=True)
class Undo:
    """All that has to be brought back."""

    before: str | None
    """The release that ran; None: there was none."""
    after: str
    """The one that was being switched to."""
    files: tuple[File, ...]
    """How the files were that it changes."""
    units: tuple[str, ...]
    """The services that it starts."""
    enabled: tuple[str, ...]
    """Those of them that were not started at boot before."""

    def table(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "before": self.before,
            "after": self.after,
            "files": [file.table() for file in self.files],
            "units": list(self.units),
            "enabled": list(self.enabled),
        }


def begin(
    layout: Layout, after: str, paths: Iterable[str], units: Iterable[str], new: Iterable[str]
) -> Undo:
    """Keep how everything is, durably; from here on a power cut leads back to it."""
    files.discard(layout.undo)
    durable.make_folder(layout.undo, 0o700)
    kept = files.keep(layout, paths, layout.undo)
    undo = Undo(layout.running(), after, tuple(kept), tuple(units), tuple(new))
    durable.write_json(layout.undo / RECORD, undo.table())
    return undo


def pending(layout: Layout) -> Undo | None:
    """Return the log of a switch that is not committed, or None."""
    table = durable.read_json(layout.undo / RECORD)
    if table is None:
        return None
    kept = tuple(File.read(file) for file in table["files"])
    units, enabled = tuple(table["units"]), tuple(table["enabled"])
    return Undo(table["before"], table["after"], kept, units, enabled)


def commit(layout: Layout, undo: Undo) -> None:
    """Let the switch count: one rename or removal, after which nothing leads back by itself."""
    before = undo.before
    if before is None or before == undo.after or not layout.release(before).is_dir():
        durable.remove(layout.undo / RECORD)
        return
    was = layout.release(before) / "was"
    files.discard(was)
    layout.undo.rename(was)
    durable.sync_folder(layout.home)
    durable.sync_folder(was.parent)


def restore(layout: Layout, undo: Undo, services: Services, running: bool) -> None:
    """Bring everything back; `running` is False at boot, when no service has started yet."""
    for unit in undo.enabled:
        services.disable(unit)
    if undo.before is None:
        durable.remove(layout.current)
    else:
        durable.point(layout.current, f"releases/{undo.before}")
    changed = files.differing(layout, undo.files)
    files.put(layout, undo.files, layout.undo)
    services.changed(file.path for file in changed)
    if undo.before is not None and running:
        for unit in undo.units:
            if unit not in undo.enabled:
                services.restart(unit)
    durable.remove(layout.undo / RECORD)
