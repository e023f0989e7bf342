"""Where everything lies on a device.

/opt/edgefer/
├── current -> releases/ID      what runs; replaced by a rename
├── bases/ID/                   what releases stand on, a virtual environment each
├── releases/ID/                edgefer itself over a base, in another
│   ├── release.json            written last: a release without it is none
│   ├── model.zip               the bundle, cut to what this device runs
│   └── was/                    settings and units as they were while it ran last
├── staged/                     what the next switch is to bring, `change.json` and files
├── undo/                       while a switch is not committed: how to undo it
├── wheels/                     that they are made of
├── outcome.json                how the last switch ended
└── release.pyz                 this program
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .durable import read_json

CACHE = "/var/cache/edgefer"
"""What systemd makes of `CacheDirectory=edgefer`: engines that were built for this GPU."""
KEPT = 3
"""Releases that stay, the one that runs among them."""


class Refused(Exception):
    """Something that is not done, in one line; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The places, below a root folder."""

    root: Path = Path("/")

    @property
    def home(self) -> Path:
        """All that is edgefer's own."""
        return self.root / "opt" / "edgefer"

    @property
    def current(self) -> Path:
        """The link to what runs."""
        return self.home / "current"

    @property
    def staged(self) -> Path:
        """What the next switch is to bring."""
        return self.home / "staged"

    @property
    def undo(self) -> Path:
        """How to undo a switch that is not committed."""
        return self.home / "undo"

    @property
    def outcome(self) -> Path:
        """How the last switch ended."""
        return self.home / "outcome.json"

    @property
    def progress(self) -> Path:
        """What a switch is doing, line by line; gone with the power, as the switch is."""
        return self.root / "run" / "edgefer-switch.progress"

    def release(self, name: str) -> Path:
        """The folder of a release."""
        return self.home / "releases" / name

    def there(self, path: str) -> Path:
        """A path of the device, below the root folder."""
        return self.root / path.lstrip("/")

    def running(self) -> str | None:
        """The release that `current` leads to, or None."""
        try:
            return self.current.readlink().name
        except OSError:
            return None

    def manifest(self, name: str) -> dict[str, Any] | None:
        """What a release says of itself; None where it is unfinished or not there."""
        return read_json(self.release(name) / "release.json")

    def finished(self) -> list[str]:
        """All finished releases, the one that was made or ran last first.

        One that was made by hand has no `release.json`: that it ran here counts as well.
        """
        folder = self.home / "releases"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted(filter(self._marks, names), key=self.last_used, reverse=True)

    def last_used(self, name: str) -> float:
        """When a release ran last, or else was made, seconds of the epoch."""
        return max((mark.stat().st_mtime for mark in self._marks(name)), default=0.0)

    def _marks(self, name: str) -> list[Path]:
        folder = self.release(name)
        marks = [folder / "release.json", folder / "was" / "undo.json"]
        return [mark for mark in marks if mark.exists()]
