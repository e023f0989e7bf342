"""The configuration file: TOML whose every key is known or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from edgefer.settings import parse, read_toml
from edgefer_device.mood import MoodSettings
from edgefer_device.tracker import TrackingSettings


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `edgefer run` does; a file holds only its differences from this."""

    camera: str = "v4l2:/dev/video0"
    """Address of the camera; see `camera.FORMS`."""
    detector: str | None = None
    """Name of the face detector; None takes the best that is installed."""
    model: str = "small"
    """Path of a model bundle, or the name of a shipped one."""
    sinks: tuple[str, ...] = ("console:",)
    """Addresses of the sinks; see `sinks.FORMS`."""
    mood: MoodSettings = MoodSettings()
    tracking: TrackingSettings = TrackingSettings()


def load_config(path: Path | None, given: Mapping[str, object] | None = None) -> Config:
    """Read a configuration file, if there is one; what was `given` beside it goes before it.

    Raises `SettingsError`, or `UnknownKey` with the nearest name.
    """
    table = {} if path is None else read_toml(path)
    return parse({**table, **(given or {})}, Config, str(path or "options"))
