"""What a device is deployed as: which packages, which files of a bundle, which Python."""

from __future__ import annotations

from dataclasses import dataclass

KIOSK = ("cage", "xwayland", "chromium", "curl", "libpam-systemd")
"""The session on a screen (firmware-config/common/edgefer-kiosk), and what makes it a login."""
BROKER = ("mosquitto",)
PICAMERA2 = ("python3-picamera2",)
GSTREAMER = ("python3-gi", "gir1.2-gstreamer-1.0", "gstreamer1.0-plugins-base")
"""How Python reads a Jetson's CSI camera; NVIDIA's own elements come with JetPack."""


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
    extra: tuple[str, ...] = ()
    """Wheels beside those of `edgefer[device]`."""
    tune: bool = False
    """Whether it is always measured which runtime is fastest there."""


TARGETS = {
    target.name: target
    for target in (
        Target("debian"),
        Target("rpi", packages=PICAMERA2, system_site=True, system_numpy=True),
        Target(
            "rpi-coral",
            formats=("int8", "edgetpu"),
            # libedgetpu is in no archive of Debian's: a deployment says where it comes from.
            packages=PICAMERA2,
            system_site=True,
            system_numpy=True,
        ),
        Target(
            "jetson",
            formats=("int8", "onnx", "onnx-int8", "onnx-symmetric"),
            packages=GSTREAMER,
            system_site=True,  # but not its NumPy: 1.21 on Ubuntu 22.04 is older than edgefer's
            extra=("onnxruntime",),
            tune=True,
        ),
    )
}
"""By name, those that are reached over SSH."""
