"""Packages of npm's registry: one version, its hash checked, cached."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgefer.errors import FetchError
from edgefer.files import cache_folder, write_atomic

SECONDS = 300
"""How long the npm client may take."""


@dataclass(frozen=True, slots=True)
class Package:
    """One version of a package, as npm packs it."""

    name: str
    version: str
    integrity: str
    """sha512 of the tarball in base64, as npm writes it."""

    @property
    def spec(self) -> str:
        """How npm names it: `@litertjs/core@2.5.3`."""
        return f"{self.name}@{self.version}"

    @property
    def file(self) -> str:
        """The tarball's name in the cache."""
        return f"{self.name.strip('@').replace('/', '-')}-{self.version}.tgz"


def fetch(package: Package, cache: Path | None = None) -> bytes:
    """Return a package's tarball, from the cache or else by the npm client.

    Raises `FetchError` where npm is missing or fails, or the tarball is not the pinned one.
    """
    kept = (cache or cache_folder()) / package.file
    if kept.is_file() and _is_right(package, content := kept.read_bytes()):
        return content
    content = _packed(package)
    if not _is_right(package, content):
        raise FetchError(
            f"{package.spec}: the registry's tarball does not have the pinned sha512; "
            "nothing was kept; check which registry npm uses"
        )
    with contextlib.suppress(OSError):  # a cache that cannot be written is none
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, content)
    return content


def member(tarball: bytes, path: str) -> bytes:
    """Return one file of a package, `path` below its root; raise `FetchError` if it lacks it."""
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        try:
            file = archive.extractfile(f"package/{path}")
        except KeyError:
            file = None
        if file is None:
            raise FetchError(f"the package has no {path}")
        return file.read()


def _is_right(package: Package, content: bytes) -> bool:
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    return f"sha512-{digest}" == package.integrity


def _packed(package: Package) -> bytes:
    """Let the npm client pack a package; none of its scripts runs."""
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError(
            f"{package.spec} is fetched by npm, which is not installed; "
            "on Debian: sudo apt-get install npm"
        )
    with tempfile.TemporaryDirectory(prefix="edgefer-npm-") as folder:
        words = [npm, "pack", package.spec, "--ignore-scripts", "--pack-destination", folder]
        try:
            done = subprocess.run(
                words, cwd=folder, check=False, capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            raise FetchError(f"{package.spec}: npm has not answered for {SECONDS} s") from None
        tarballs = list(Path(folder).glob("*.tgz"))
        if done.returncode != 0 or not tarballs:
            raise FetchError(f"{package.spec}: npm could not fetch it: {_reason(done.stderr)}")
        return tarballs[0].read_bytes()


def _reason(errors: str) -> str:
    """Return npm's own first line about what went wrong."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    marked = [line for line in lines if "ERR" in line or "error" in line]
    return (marked or lines or ["it reports nothing"])[0]
