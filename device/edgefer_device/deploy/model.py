"""The model bundle as a device gets it: one .zip with what its target runs, and its licences."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgefer.bundle import Bundle, open_bundle, write_bundle
from edgefer.errors import BundleError
from edgefer.files import to_zip
from edgefer.manifest import MANIFEST
from edgefer.signature import SIGNATURE, signature_of
from edgefer_device.deploy.targets import Target

PLACE = "model.zip"
"""In a release."""
WORDS = ("labels", "card")
"""Formats of a bundle that are texts; they go along."""


@dataclass(frozen=True, slots=True)
class Model:
    """What is sent."""

    name: str
    content: bytes
    """Of the .zip; the same bytes for the same bundle and target."""
    formats: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of the .zip."""
        return hashlib.sha256(self.content).hexdigest()


def model_for(target: Target, name: str) -> Model:
    """Open a bundle, which checks every hash, and cut it to what a target runs.

    A signed one goes whole: its signature is of all files. Raises `BundleError`.
    """
    bundle = open_bundle(name)
    formats = tuple(format for format in target.formats if format in bundle.manifest.files)
    if target.formats[0] not in formats:
        have = ", ".join(bundle.manifest.files)
        wanted = target.formats[0]
        raise BundleError(f"{bundle.path}: {target.name} runs '{wanted}', it has: {have}")
    if signature_of(bundle.path) is not None:
        return Model(bundle.manifest.name, _whole(bundle), formats)
    return Model(bundle.manifest.name, _cut(bundle, {*formats, *WORDS}), formats)


def _cut(bundle: Bundle, kept: set[str]) -> bytes:
    """Return a bundle with only some of its formats."""
    files = {name: file for name, file in bundle.manifest.files.items() if name in kept}
    contents = {name: bundle.contents[name] for name in files}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / PLACE
        write_bundle(out, msgspec.structs.replace(bundle.manifest, files=files), contents)
        return out.read_bytes()


def _whole(bundle: Bundle) -> bytes:
    """Return a signed bundle as one .zip, its manifest byte for byte."""
    if bundle.path.is_file():
        return bundle.path.read_bytes()
    names = (MANIFEST, SIGNATURE, *(file.path for file in bundle.manifest.files.values()))
    return to_zip({name: (bundle.path / name).read_bytes() for name in names})
