"""Packages from npm that only tests want, at one version, checked by their hash."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from edgefer.errors import FetchError
from edgefer_device.export.npm import Package, fetch
from support.cache import ROOT, locked

CACHE = ROOT / ".cache" / "npm"


def unpacked(package: Package) -> Path:
    """Return the folder of a package's files; skip where no registry can be reached."""
    with locked("npm") as cache:
        folder = cache / f"{package.name}-{package.version}"
        if not (folder / "package" / "package.json").is_file():
            try:
                fetch(package, cache)
            except FetchError as exc:
                if "sha512" in str(exc):
                    raise
                pytest.skip(str(exc))
            with tarfile.open(cache / package.file) as archive:
                archive.extractall(folder, filter="data")
        return folder / "package"
