"""Where everything lies on a device.

/opt/edgefer/
├── current -> releases/ID      what runs; replaced by a rename
├── bases/ID/                   what releases stand on, a virtual environment each
├── releases/ID/                edgefer itself over a base, in another
│   ├── release.json            written last: a release without it is none
│   ├── model.zip               the bundle, cut to what this device runs
│   └── snapshot/               settings and units as they were when it ran last
├── staged/                     what the next switch is to bring, `change.json` and files
├── undo/                       while a switch is not committed: how to undo it
├── wheels/                     that they are made of
├── outcome.json                how the last switch ended
└── release.pyz                 this agent
"""

from __future__ import annotations

from pathlib import Path

HOME = "/opt/edgefer"
AS_SERVICE = """
groups=$(getent group video plugdev render | cut -d: -f1 | tr '\\n' ' ')
exec systemd-run --quiet --collect --wait --pipe --property=User=edgefer \\
    --property=DynamicUser=yes --property=CapabilityBoundingSet= --property=UMask=0077 \\
    --property="SupplementaryGroups=$groups" --property=StateDirectory=edgefer \\
    --property=StateDirectoryMode=0700 --property=CacheDirectory=edgefer \\
    --property=CacheDirectoryMode=0700 "$@"
"""
"""A shell script that runs its arguments as the user of edgefer.service, with its folders and no
privileges: what a release that is not proven yet does, it does not do as root."""
MODEL = "model.zip"
"""The bundle's place in a release."""


class Refused(Exception):
    """Something that is not done, in one line; nothing was changed."""


class Layout:
    """The paths of a device, below a root folder."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.home = self.resolve(HOME)
        self.current = self.home / "current"
        self.staged = self.home / "staged"
        self.undo = self.home / "undo"
        self.outcome = self.home / "outcome.json"
        self.lock = self.root / "run" / "edgefer-deploy.lock"
        # What a switch is doing, line by line; on a tmpfs, as it ends with the power.
        self.progress = self.root / "run" / "edgefer-switch.progress"

    def release(self, name: str) -> Path:
        """Return the folder of a release."""
        return self.home / "releases" / name

    def snapshot(self, name: str) -> Path:
        """Return the folder that keeps what a release ran with."""
        return self.release(name) / "snapshot"

    def resolve(self, path: str) -> Path:
        """Return a path of the device below the root folder."""
        return self.root / path.lstrip("/")

    def running(self) -> str | None:
        """Return the release that `current` leads to, or None."""
        try:
            return self.current.readlink().name
        except OSError:
            return None
