"""The kinds of devices: packages, Python, and the part of a model bundle that each one runs."""

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

KIOSK = (
    *("cage", "xwayland", "chromium", "libpam-systemd", "wlr-randr"),
    "fonts-droid-fallback",  # Chinese: the page's own font has Latin letters alone
    "v4l-utils",  # cec-ctl, for televisions
)
"""The session on a screen (firmware-config/common/edgefer-kiosk), and what makes it a login."""
BROKER = ("mosquitto",)
PICAMERA2 = ("python3-picamera2",)
GSTREAMER = ("python3-gi", "gir1.2-gstreamer-1.0", "gstreamer1.0-plugins-base")
"""How Python reads a Jetson's CSI camera; NVIDIA's own elements come with JetPack."""
TEXTS = ("labels", "card")
"""Formats of a bundle that are texts; every device gets them."""


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of device."""

    name: str
    """As `common/install` of firmware-config knows it."""
    formats: tuple[str, ...] = ("int8",)
    """Of the bundle, those that it runs; the first must be there."""
    packages: tuple[str, ...] = ()
    """Debian's, beside Python."""
    system_site: bool = False
    """Whether its venv sees the system's packages: picamera2 and PyGObject are only there."""
    system_numpy: bool = False
    """Whether NumPy is the system's too: picamera2 was built for it."""
    onnx: bool = False
    """Whether it gets onnxruntime too."""
    tune: bool = False
    """Whether the fastest runtime is always measured there."""


TARGETS = {
    target.name: target
    for target in (
        Target("debian"),
        Target("rpi", packages=PICAMERA2, system_site=True, system_numpy=True),
        Target(
            "rpi-coral",
            formats=("int8", "edgetpu"),
            # libedgetpu is in no archive of Debian's: a deployment reports where to get it.
            packages=PICAMERA2,
            system_site=True,
            system_numpy=True,
        ),
        Target(
            "jetson",
            formats=("int8", "onnx", "onnx-int8", "onnx-symmetric"),
            packages=GSTREAMER,
            system_site=True,  # but not its NumPy: 1.21 on Ubuntu 22.04 is older than edgefer's
            onnx=True,
            tune=True,
        ),
    )
}
"""By name."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model bundle as a device gets it."""

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
    return Model(bundle.manifest.name, _cut(bundle, {*formats, *TEXTS}), formats)


def _cut(bundle: Bundle, kept: set[str]) -> bytes:
    """Return a bundle with only some of its formats."""
    files = {name: file for name, file in bundle.manifest.files.items() if name in kept}
    contents = {name: bundle.contents[name] for name in files}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model.zip"
        write_bundle(out, msgspec.structs.replace(bundle.manifest, files=files), contents)
        return out.read_bytes()


def _whole(bundle: Bundle) -> bytes:
    """Return a signed bundle as one .zip, its manifest byte for byte."""
    if bundle.path.is_file():
        return bundle.path.read_bytes()
    names = (MANIFEST, SIGNATURE, *(file.path for file in bundle.manifest.files.values()))
    return to_zip({name: (bundle.path / name).read_bytes() for name in names})
