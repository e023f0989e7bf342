"""Who stands behind a model bundle: an Ed25519 signature of its manifest.

manifest.json holds the sha256 of every other file, so its signature speaks for
them all. `manifest.sig` beside it is one line of text: `ed25519`, the key's id
and the signature (RFC 8032) in base64, which OpenSSL can check as well.
"""

from __future__ import annotations

import base64
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgefer.archive import from_zip, to_zip
from edgefer.bundle import MANIFEST, Bundle, open_bundle
from edgefer.errors import BundleCorrupt, BundleError
from edgefer.files import write_atomic

SIGNATURE = "manifest.sig"
ALGORITHM = "ed25519"
SIZE = 64
"""Bytes of an Ed25519 signature."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What `manifest.sig` says."""

    key: str
    """The id of the key, see `keys.key_id`."""
    value: bytes

    def encode(self) -> bytes:
        """Return the content of `manifest.sig`."""
        return f"{ALGORITHM} {self.key} {base64.b64encode(self.value).decode()}\n".encode()


def sign(name: str | Path, key: Path) -> str:
    """Sign a bundle, a folder or .zip, in place of an older signature; return the key's id.

    Raises `BundleError` when the bundle cannot be opened or written, `SettingsError` when
    `key` is no private Ed25519 key.
    """
    from edgefer.keys import key_id, read_private

    private = read_private(key)
    path = open_bundle(name).path
    value = private.sign(_entry(path, MANIFEST) or b"")
    signature = Signature(key_id(private.public_key()), value)
    try:
        _put(path, signature.encode())
    except OSError as exc:
        raise BundleError(f"{path}: could not be signed: {exc.strerror or exc}") from exc
    return signature.key


def verify(name: str | Path, key: Path) -> Bundle:
    """Open a bundle that `key` signed; raise `BundleError` for any other.

    A file that was altered after signing is a `BundleCorrupt`; a `key` that is no public
    Ed25519 key, a `SettingsError`.
    """
    from edgefer.keys import read_public

    read_public(key)
    bundle = open_bundle(name)
    require(bundle.path, _entry(bundle.path, MANIFEST) or b"", key)
    return bundle


def require(path: Path, manifest: bytes, key: Path) -> None:
    """Raise `BundleError` unless the public `key` signed these bytes of the manifest in `path`."""
    from cryptography.exceptions import InvalidSignature

    from edgefer.keys import key_id, read_public

    public, signature = read_public(key), signature_of(path)
    if signature is None:
        raise BundleError(
            f"{path}: is not signed, a signature by {key} is wanted; "
            f"its maker signs it by: edgefer sign {path} --key FILE"
        )
    wanted = key_id(public)
    if signature.key != wanted:
        raise BundleError(
            f"{path}: was signed by the key {signature.key}, not by {wanted} in {key}; "
            "get the bundle or the key from whom you trust"
        )
    try:
        public.verify(signature.value, manifest)
    except InvalidSignature:
        raise BundleCorrupt(
            f"{path}: {MANIFEST} is not what the key {wanted} signed; get the bundle again", path
        ) from None


def signature_of(path: Path) -> Signature | None:
    """Return what a bundle's `manifest.sig` says, unchecked, or None where there is none.

    Raises `BundleCorrupt` where it is no signature.
    """
    content = _entry(path, SIGNATURE)
    if content is None:
        return None
    try:
        algorithm, key, value = content.decode("ascii").split()
        signature = Signature(key, base64.b64decode(value, validate=True))
        if algorithm == ALGORITHM and len(signature.value) == SIZE:
            return signature
    except ValueError:
        pass
    raise BundleCorrupt(f"{path}: {SIGNATURE} is not a signature; sign the bundle again", path)


def said_of_signature(path: Path) -> str:
    """Return in one line whose signature a bundle carries, unchecked."""
    signature = signature_of(path)
    if signature is None:
        return "not signed"
    return f"signed by the key {signature.key}, by its own word; check it with: edgefer verify"


def _entry(path: Path, name: str) -> bytes | None:
    """Return a file of a folder or zip bundle, or None where it is absent."""
    if path.is_dir():
        inside = path / name
        return inside.read_bytes() if inside.is_file() else None
    if not path.exists():
        return None
    with zipfile.ZipFile(path) as archive:
        return archive.read(name) if name in archive.namelist() else None


def _put(path: Path, content: bytes) -> None:
    """Write the signature into a bundle, whole or not at all."""
    if path.is_dir():
        write_atomic(path / SIGNATURE, content)
    else:
        write_atomic(path, to_zip({**from_zip(path.read_bytes()), SIGNATURE: content}))
