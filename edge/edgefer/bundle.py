"""The model bundle, a folder or the same as one .zip: loading is the only way in.

Every file is read whole, compared with the manifest's sha256 and handed on as
bytes, so that nothing unchecked reaches a runtime.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from edgefer.errors import BundleCorrupt, BundleError, BundleMissing, SettingsError
from edgefer.files import atomic_folder, from_zip, read_member, to_zip, write_atomic
from edgefer.manifest import MANIFEST, File, Manifest, read_manifest, write_manifest


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


def open_bundle(name: str | Path, signed_by: Path | None = None) -> Bundle:
    """Open a bundle by its path or the name of a shipped one.

    With `signed_by`, a public key's file, only one that its owner has signed.
    Raises `BundleMissing`, `BundleCorrupt` or `SchemaMismatch`.
    """
    path = Path(name)
    if not path.exists() and str(name) in shipped():
        path = Path(str(resources.files("edgefer") / "models" / str(name)))
    if not path.exists():
        raise BundleMissing(
            f"{path}: no such model bundle; shipped models: {', '.join(shipped())}", path
        )
    content = _read(path, MANIFEST)
    if signed_by is not None:
        from edgefer.signature import require

        require(path, content, signed_by)
    try:
        manifest = read_manifest(content, str(path / MANIFEST))
    except SettingsError as exc:
        raise BundleCorrupt(str(exc), path) from exc
    files = manifest.files.items()
    return Bundle(path, manifest, {format: _checked(path, file) for format, file in files})


def _read(path: Path, name: str) -> bytes:
    """Return a file of a folder or zip bundle."""
    try:
        content = read_member(path, name)
    except zipfile.BadZipFile:
        raise BundleCorrupt(f"{path}: not a model bundle: neither folder nor zip", path) from None
    if content is None:
        raise BundleMissing(f"{path}: {name} is missing from the model bundle", path / name)
    return content


def _checked(path: Path, file: File) -> bytes:
    """Return a file's bytes; raise `BundleCorrupt` unless they are what the manifest says."""
    if Path(file.path).name != file.path:
        raise BundleCorrupt(f"{path}: '{file.path}' would lie outside the bundle", path)
    content = _read(path, file.path)
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


def describe(path: str, content: bytes, target: str) -> File:
    """Return the manifest's entry for a file."""
    return File(path, hashlib.sha256(content).hexdigest(), len(content), target)


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

    path = open_bundle(name).path
    signature = signed(_read(path, MANIFEST), key)
    try:
        if path.is_dir():
            write_atomic(path / SIGNATURE, signature.encode())
        else:
            files = from_zip(path.read_bytes())
            write_atomic(path, to_zip({**files, SIGNATURE: signature.encode()}))
    except OSError as exc:
        raise BundleError(f"{path}: could not be signed: {exc.strerror or exc}") from exc
    return signature.key
