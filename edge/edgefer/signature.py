"""The signature of a model bundle: Ed25519 over its manifest, and the keys in PEM files.

manifest.json holds the sha256 of every other file, so its signature covers them all.
`manifest.sig` beside it is one line of text: `ed25519`, the key's id and the signature
(RFC 8032) in base64. OpenSSL can check it, and reads and writes the same keys.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgefer.errors import BundleCorrupt, BundleError, SettingsError
from edgefer.files import is_public, read_member
from edgefer.manifest import MANIFEST

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

log = logging.getLogger(__name__)

SIGNATURE = "manifest.sig"
ALGORITHM = "ed25519"
SIZE = 64
"""Bytes of an Ed25519 signature."""
LINE = 1_000
"""Bytes that `manifest.sig` may have."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The content of `manifest.sig`."""

    key: str
    """The id of the key, see `key_id`."""
    value: bytes

    def encode(self) -> bytes:
        """Return the content of `manifest.sig`."""
        return f"{ALGORITHM} {self.key} {base64.b64encode(self.value).decode()}\n".encode()


def signed(manifest: bytes, key: Path) -> Signature:
    """Return the signature of a manifest by the private key in a file.

    Raises `SettingsError` when `key` is no private Ed25519 key.
    """
    private = read_private(key)
    return Signature(key_id(private.public_key()), private.sign(manifest))


def require(path: Path, manifest: bytes, key: Path) -> None:
    """Raise `BundleError` unless the public `key` signed these bytes of the manifest in `path`."""
    from cryptography.exceptions import InvalidSignature

    public, signature = read_public(key), signature_of(path)
    if signature is None:
        raise BundleError(
            f"{path}: is not signed; expected a signature by {key}; "
            f"sign it with: edgefer model sign {path} --key FILE"
        )
    expected = key_id(public)
    if signature.key != expected:
        raise BundleError(
            f"{path}: was signed by the key {signature.key}, not by {expected} in {key}; "
            "get the bundle or the key from a source that you trust"
        )
    try:
        public.verify(signature.value, manifest)
    except InvalidSignature:
        raise BundleCorrupt(
            f"{path}: {MANIFEST} is not what the key {expected} signed; get the bundle again", path
        ) from None


def signature_of(path: Path) -> Signature | None:
    """Return the signature in a bundle, unchecked, or None where there is none.

    Raises `BundleCorrupt` where it is no signature.
    """
    content = read_member(path, SIGNATURE, LINE)
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


def make_keys(out: Path) -> str:
    """Write a new pair of keys, `out` (for its owner alone) and `out`.pub; return their id.

    Raises `SettingsError` where one of the files exists or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    for path in (out, public_of(out)):
        if path.exists():
            raise SettingsError(f"{path}: exists already, and a key is never overwritten")
    private = Ed25519PrivateKey.generate()
    public, pem = private.public_key(), forms.Encoding.PEM
    secret = private.private_bytes(pem, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    _create(out, secret, 0o600)
    shared = public.public_bytes(pem, forms.PublicFormat.SubjectPublicKeyInfo)
    try:
        _create(public_of(out), shared, 0o644)
    except SettingsError:
        out.unlink()
        raise
    return key_id(public)


def public_of(private: Path) -> Path:
    """Return the path of the public key: `FILE.pub`."""
    return private.with_name(f"{private.name}.pub")


def key_id(public: Ed25519PublicKey) -> str:
    """Return the first 16 digits of the sha256 of a key's 32 bytes: it only tells keys apart."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def read_private(path: Path) -> Ed25519PrivateKey:
    """Read a private key; raise `SettingsError` for anything else."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read(path)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        raise SettingsError(
            f"{path}: is encrypted with a passphrase; decrypt a copy with: openssl pkey"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(
            f"{path}: not a private Ed25519 key in PEM; make a pair with: edgefer model keys FILE"
        )
    if is_public(path):
        log.warning("%s: every user of this machine may read it; run: chmod 600 %s", path, path)
    return key


def read_public(path: Path) -> Ed25519PublicKey:
    """Read a public key; raise `SettingsError` for anything else."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = _read(path)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        hint = " but a private key" if b"PRIVATE KEY" in content else ""
        raise SettingsError(
            f"{path}: not a public Ed25519 key in PEM{hint}; name the file that ends in .pub"
        )
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise SettingsError(f"{path}: the key cannot be read: {exc.strerror or exc}") from exc


def _create(path: Path, content: bytes, mode: int) -> None:
    """Create a file, with its mode from the first byte on: whole, or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
        except OSError:
            path.unlink()
            raise
    except OSError as exc:
        raise SettingsError(f"{path}: the key cannot be written: {exc.strerror or exc}") from exc
