"""The model bundle, a folder or the same as one .zip: loading is the only way in.

Every file is read whole, compared with the manifest's sha256 and handed on as
bytes, so that nothing unchecked reaches a runtime. The manifest and its signature
come first: they say which files are read, and how large each may be.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from edgefer.errors import BundleCorrupt, BundleError, BundleMissing, SettingsError
from edgefer.files import atomic_folder, read_member, to_zip, write_atomic
from edgefer.manifest import MANIFEST, Compiled, File, Manifest, read_manifest, write_manifest

MANIFEST_BYTES = 4_000_000
"""That a manifest may have."""
BUNDLE_BYTES = 1_000_000_000
"""That the files of a bundle may have in all."""
RATIO = 100
"""Times its own size that the files of a .zip may have; weights do not deflate to much less."""


class Bundle:
    """A checked model bundle."""

    def __init__(self, path: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
        self.path = path
        self.manifest = manifest
        self.contents = contents

    def read(self, format: str) -> bytes:
        """Return the bytes of one format; raise `BundleError` where the bundle lacks it."""
        if format not in self.contents:
            have = ", ".join(sorted(self.contents))
            raise BundleError(f"{self.path}: has no '{format}' file; it has: {have}")
        return self.contents[format]


def shipped() -> list[str]:
    """Return the names of the bundles that come with edgefer."""
    folder = resources.files("edgefer") / "models"
    return sorted(item.name for item in folder.iterdir() if item.is_dir())


def is_shipped(name: str | Path) -> bool:
    """Whether a text is a shipped bundle's name; a `Path`, or `./small`, never is."""
    return isinstance(name, str) and name in shipped()


def open_bundle(name: str | Path, signed_by: Path | None = None) -> Bundle:
    """Open a bundle by the name of a shipped one, or else by its path.

    With `signed_by`, a public key's file, only one that its owner has signed.
    Raises `BundleMissing`, `BundleCorrupt` or `SchemaMismatch`.
    """
    path = Path(name)
    if is_shipped(name):
        path = Path(str(resources.files("edgefer") / "models" / str(name)))
    if not os.path.exists(path):  # noqa: PTH110  # Path.exists raises for a long name
        raise BundleMissing(
            f"{path}: no such model bundle; shipped models: {', '.join(shipped())}; "
            "a folder of your own by one of these names is ./NAME",
            path,
        )
    content = _read(path, MANIFEST, MANIFEST_BYTES)
    if signed_by is not None:
        from edgefer.signature import require

        require(path, content, signed_by)
    try:
        manifest = read_manifest(content, str(path / MANIFEST))
    except SettingsError as exc:
        raise BundleCorrupt(str(exc), path) from exc
    _refuse_bomb(path, manifest)
    files = manifest.files.items()
    return Bundle(path, manifest, {format: _checked(path, file) for format, file in files})


def _refuse_bomb(path: Path, manifest: Manifest) -> None:
    """Raise `BundleCorrupt` for files that would fill the memory."""
    total = sum(file.bytes for file in manifest.files.values())
    limit = BUNDLE_BYTES
    if path.is_file():
        limit = min(limit, RATIO * path.stat().st_size)
    if total > limit:
        raise BundleCorrupt(
            f"{path}: its files would have {total:,} bytes, expected at most {limit:,}", path
        )


def _read(path: Path, name: str, limit: int) -> bytes:
    """Return a file of a folder or zip bundle, of no more bytes than `limit`."""
    content = read_member(path, name, limit)
    if content is None:
        raise BundleMissing(f"{path}: {name} is missing from the model bundle", path / name)
    return content


def _checked(path: Path, file: File) -> bytes:
    """Return a file's bytes; raise `BundleCorrupt` unless they are what the manifest says."""
    if Path(file.path).name != file.path:
        raise BundleCorrupt(f"{path}: '{file.path}' would lie outside the bundle", path)
    content = _read(path, file.path, file.bytes)
    if len(content) != file.bytes:
        raise BundleCorrupt(
            f"{path}: {file.path} has {len(content)} bytes, the manifest says {file.bytes}; "
            "copy the bundle again",
            path,
        )
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise BundleCorrupt(
            f"{path}: {file.path} does not match its sha256 in the manifest; copy the bundle again",
            path,
        )
    return content


def describe(path: str, content: bytes, target: str, compiled: Compiled | None = None) -> File:
    """Return the manifest's entry for a file."""
    return File(path, hashlib.sha256(content).hexdigest(), len(content), target, compiled=compiled)


def write_bundle(out: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> Bundle:
    """Write a bundle to a folder, or to one .zip by its name: whole, or not at all.

    `contents` holds the bytes of each format in the manifest. An older bundle
    at `out` is replaced; raises `BundleError` when something else lies there.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise BundleError(f"{out}: is a folder but not a model bundle; choose another --out")
    named = {manifest.files[format].path: content for format, content in contents.items()}
    named[MANIFEST] = write_manifest(manifest)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".zip":
            write_atomic(out, to_zip(named))
        else:
            with atomic_folder(out) as folder:
                for name, content in named.items():
                    (folder / name).write_bytes(content)
    except OSError as exc:
        raise BundleError(
            f"{out}: could not be written: {exc.strerror or exc}; what was there before is unharmed"
        ) from exc
    return open_bundle(out)


def sign_bundle(name: str | Path, key: Path) -> str:
    """Sign a bundle, a folder or .zip, in place of an older signature; return the key's id.

    Raises `BundleError` when the bundle cannot be opened or written, `SettingsError` when
    `key` is no private Ed25519 key.
    """
    from edgefer.signature import SIGNATURE, signed

    bundle = open_bundle(name)
    path, manifest = bundle.path, _read(bundle.path, MANIFEST, MANIFEST_BYTES)
    signature = signed(manifest, key)
    try:
        if path.is_dir():
            write_atomic(path / SIGNATURE, signature.encode())
        else:
            files = {bundle.manifest.files[one].path: bundle.read(one) for one in bundle.contents}
            files |= {MANIFEST: manifest, SIGNATURE: signature.encode()}
            write_atomic(path, to_zip(files))
    except OSError as exc:
        raise BundleError(f"{path}: could not be signed: {exc.strerror or exc}") from exc
    return signature.key
