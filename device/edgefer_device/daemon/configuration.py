"""The configuration file: TOML whose every key is known or refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edgefer.bundle import Bundle, open_bundle
from edgefer.errors import BundleError, SettingsError
from edgefer.heads import Decoder
from edgefer.labels import EVERY_LABEL
from edgefer.options import MAX_THREADS
from edgefer.runtime import choose
from edgefer.settings import Problem, parse, read_toml
from edgefer_device.faces.quality import QualitySettings
from edgefer_device.faces.tracker import TrackingSettings
from edgefer_device.mood.filter import MoodSettings
from edgefer_device.mood.own_calibration import CalibrationStore
from edgefer_device.pipeline.frame_rate import FrameRateSettings
from edgefer_device.sinks.content.settings import ContentSettings, rule_problems
from edgefer_device.sinks.history import HistorySettings
from edgefer_device.sinks.mirror.settings import MirrorSettings
from edgefer_device.sinks.mqtt.broker import MqttSettings
from edgefer_device.sinks.screen import ScreenSettings
from edgefer_device.system.address import redacted


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration of `edgefer run`; a file holds only its differences from the defaults."""

    camera: str = "auto:"
    """Address of the camera; [cameras](cameras.md) lists the kinds."""
    detector: str | None = None
    """Name of the face detector; None takes the best that is installed."""
    model: Annotated[str, msgspec.Meta(min_length=1)] = "small"
    """Name of a shipped model, or else the path of a bundle; a folder `small` here is `./small`."""
    labels: Literal["fer2013", "ferplus", "both"] = "both"
    """Label set to report: one of the model's heads, or both together by FER2013's labels, which
    is also what a model of one head reports its own by."""
    runtime: str | None = None
    """`litert`, `onnxruntime`, an accelerator (`tensorrt`, `cuda`, `openvino`, `qnn`, `coreml`,
    `edgetpu`, `rknn`, `gpu`), or a format of the bundle, which belongs to one of the first two;
    None takes the bundle's preferred one for the CPU. An accelerator that cannot be opened is
    replaced by the next (`tensorrt` by `cuda`, all by the CPU), with a warning."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=MAX_THREADS)] = 1
    """Threads of the model; `edgefer bench --tune` finds the best runtime and number."""
    signed_by: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """File of a public key (`edgefer model keys`): a bundle that it has not signed is refused."""
    sinks: tuple[str, ...] = ("console:",)
    """Addresses of the sinks; [the daemon](daemon.md#sinks) lists the kinds."""
    state: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """Folder for state that outlives the daemon; None takes systemd's, or the user's own."""
    whose: Literal["nearest", "household"] = "nearest"
    """Whose mood is reported when several faces are in view."""
    mood: MoodSettings = MoodSettings()
    tracking: TrackingSettings = TrackingSettings()
    quality: QualitySettings = QualitySettings()
    frame_rate: FrameRateSettings = FrameRateSettings()
    mirror: MirrorSettings = MirrorSettings()
    screen: ScreenSettings = ScreenSettings()
    history: HistorySettings = HistorySettings()
    content: ContentSettings = ContentSettings()
    mqtt: MqttSettings = MqttSettings()

    def __repr__(self) -> str:
        sinks = tuple(map(redacted, self.sinks))
        shown = msgspec.structs.replace(self, camera=redacted(self.camera), sinks=sinks)
        return msgspec.Struct.__repr__(shown)


def load_config(path: Path | None, given: Mapping[str, object] | None = None) -> Config:
    """Read a configuration file, if any; `given` values override it.

    Raises `SettingsError`, or `UnknownKey` with the nearest name.
    """
    table = {} if path is None else read_toml(path)
    source = str(path or "options")
    config = parse({**table, **(given or {})}, Config, source)
    for problem in rules_refused(config):
        raise SettingsError(f"{source}: {problem}")
    return config


def rules_refused(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with content rules by the model's labels and the sinks."""
    if config.content.rule:
        yield from rule_problems(config.content, labels_of(config), config.sinks)


def model_of(config: Config) -> Bundle:
    """Open the bundle that a configuration names, signed where it asks for that.

    Whatever has a configuration opens its bundle here.
    """
    return open_bundle(config.model, Path(config.signed_by) if config.signed_by else None)


def decoder_of(config: Config, bundle: Bundle) -> Decoder:
    """Return how the logits of a configuration's model are read; raises `SettingsError`."""
    return bundle.manifest.decoder(config.labels, choose(bundle, config.runtime))


def threshold_of(config: Config, decoder: Decoder) -> float:
    """Return the probability that a label needs: the configured one, else the model's own."""
    return config.mood.threshold or decoder.calibration.threshold


def store_of(config: Config, folder: Path) -> CalibrationStore:
    """Return where the own calibration of a configuration's model is kept: a state folder."""
    bundle = model_of(config)
    return CalibrationStore(folder, bundle.manifest, decoder_of(config, bundle))


def labels_of(config: Config) -> tuple[str, ...]:
    """Return the model's labels; where it cannot be opened, those of all label sets."""
    try:
        return decoder_of(config, model_of(config)).labels
    except BundleError:
        # The error is raised when the model is opened to run it.
        return EVERY_LABEL
