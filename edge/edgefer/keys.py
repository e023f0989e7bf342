"""Ed25519 keys in PEM files, as OpenSSL reads and writes them too."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edgefer.errors import SettingsError


def make_keys(out: Path) -> str:
    """Write a new pair of keys, `out` (for its owner alone) and `out`.pub; return their id.

    Raises `SettingsError` where one of the files exists or cannot be written.
    """
    for path in (out, public_of(out)):
        if path.exists():
            raise SettingsError(f"{path}: exists already, and a key is never overwritten")
    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(
        forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()
    )
    public = private.public_key()
    shown = public.public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    _write_new(out, secret, 0o600)
    _write_new(public_of(out), shown, 0o644)
    return key_id(public)


def public_of(private: Path) -> Path:
    """Return the path of the public key: `FILE.pub`."""
    return private.with_name(f"{private.name}.pub")


def key_id(public: Ed25519PublicKey) -> str:
    """Return the first 16 digits of the sha256 of a key's 32 bytes: it only tells keys
    apart."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def read_private(path: Path) -> Ed25519PrivateKey:
    """Read a private key; raise `SettingsError` for anything else."""
    content = _read(path)
    try:
        key = forms.load_pem_private_key(content, password=None)
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
    return key


def read_public(path: Path) -> Ed25519PublicKey:
    """Read a public key; raise `SettingsError` for anything else."""
    content = _read(path)
    try:
        key = forms.load_pem_public_key(content)
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


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Create a file, with its mode from the first byte on."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as exc:
        raise SettingsError(f"{path}: the key cannot be written: {exc.strerror or exc}") from exc
