"""The signature of a model bundle: Ed25519 over its manifest.

manifest.json holds the sha256 of every other file, so its signature speaks for
them all. `manifest.sig` beside it is one line of text: `ed25519`, the key's id
and the signature (RFC 8032) in base64, which OpenSSL can check as well.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from edgefer.errors import BundleCorrupt, BundleError
from edgefer.files import read_member
from edgefer.manifest import MANIFEST

SIGNATURE = "manifest.sig"
ALGORITHM = "ed25519"
SIZE = 64
"""Bytes of an Ed25519 signature."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The content of `manifest.sig`."""

    key: str
    """The id of the key, see `keys.key_id`."""
    value: bytes

    def encode(self) -> bytes:
        """Return the content of `manifest.sig`."""
        return f"{ALGORITHM} {self.key} {base64.b64encode(self.value).decode()}\n".encode()


def signed(manifest: bytes, key: Path) -> Signature:
    """Return the signature of a manifest by the private key in a file.

    Raises `SettingsError` when `key` is no private Ed25519 key.
    """
    from edgefer.keys import key_id, read_private

    private = read_private(key)
    return Signature(key_id(private.public_key()), private.sign(manifest))


def require(path: Path, manifest: bytes, key: Path) -> None:
    """Raise `BundleError` unless the public `key` signed these bytes of the manifest in `path`."""
    from cryptography.exceptions import InvalidSignature

    from edgefer.keys import key_id, read_public

    public, signature = read_public(key), signature_of(path)
    if signature is None:
        raise BundleError(
            f"{path}: is not signed; expected a signature by {key}; "
            f"sign it with: edgefer model sign {path} --key FILE"
        )
    wanted = key_id(public)
    if signature.key != wanted:
        raise BundleError(
            f"{path}: was signed by the key {signature.key}, not by {wanted} in {key}; "
            "get the bundle or the key from a source that you trust"
        )
    try:
        public.verify(signature.value, manifest)
    except InvalidSignature:
        raise BundleCorrupt(
            f"{path}: {MANIFEST} is not what the key {wanted} signed; get the bundle again", path
        ) from None


def signature_of(path: Path) -> Signature | None:
    """Return the signature in a bundle, unchecked, or None where there is none.

    Raises `BundleCorrupt` where it is no signature.
    """
    content = read_member(path, SIGNATURE)
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


def describe_signature(path: Path) -> str:
    """Return one line about the signature that a bundle carries, unchecked."""
    signature = signature_of(path)
    if signature is None:
        return "not signed"
    return f"signed by the key {signature.key}, not verified; verify with: edgefer model verify"
