"""`edgefer history`: which file it is about, and what is written out of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from edgefer.errors import SettingsError
from edgefer.files import write_atomic
from edgefer_device.daemon.configuration import Config, load_config
from edgefer_device.sinks.history.local_time import first_minute
from edgefer_device.sinks.history.plot import to_svg
from edgefer_device.sinks.history.report import to_csv
from edgefer_device.sinks.history.settings import FILE, SEASON
from edgefer_device.sinks.history.store import Held, Store
from edgefer_device.sinks.opening import history_store
from edgefer_device.system.paths import SYSTEM


def find_store(config: Path | None) -> Store:
    """Return the history that a configuration keeps; without one the user's, else the service's.

    Raises `SettingsError` where none was ever kept.
    """
    store = history_store(load_config(config) if config else Config())
    service = Store(SYSTEM / FILE)
    if config is None and not store.exists and service.exists:
        store = service
    if not store.exists:
        raise SettingsError(
            f"{store.path}: no history is kept here; keep_days = {SEASON} under [history] "
            "switches it on, --config names the file where that stands"
        )
    return store


def entries(store: Store, days: int | None) -> list[Held]:
    """Return the minutes of the last so many days, today among them; None is all of them."""
    return store.spans(since=0 if days is None else first_minute(time.time(), days))


def write_csv(path: Path, held: Sequence[Held]) -> None:
    """Write entries as CSV; raises `SettingsError` where nothing can be written."""
    _write(path, to_csv(held))


def check_plot(path: Path) -> None:
    """Raise `SettingsError` for a picture that would not be SVG."""
    if path.suffix.lower() != ".svg":
        raise SettingsError(f"{path}: the plot is an SVG picture; end its name in .svg")


def write_plot(path: Path, held: Sequence[Held]) -> None:
    """Draw entries; raises `SettingsError` when there are none or nothing can be written."""
    if not held:
        raise SettingsError(f"{path}: not drawn: nothing was seen in these days")
    _write(path, to_svg(held))


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomic(path, content)
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be written: {exc.strerror}") from exc
