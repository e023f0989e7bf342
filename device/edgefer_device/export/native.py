"""The folders for native apps: the file that MediaPipe loads as it is, and what to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template

import msgspec

from edgefer.bundle import Bundle
from edgefer.errors import BundleError
from edgefer.preprocess import Preprocess
from edgefer_device.faces.blazeface import SHORT
from edgefer_device.mood.filter import MoodSettings

WORDS = Path(__file__).parent / "native"
LANGUAGES = {"android": "Kotlin", "ios": "Swift"}
"""What apps are written in, by target."""
MARK = "thresholds.json"


class Thresholds(msgspec.Struct, frozen=True):
    """When something is said of a face; thresholds.json."""

    model: str
    labels: tuple[str, ...]
    preprocess: Preprocess
    temperature: float
    """Already in the file."""
    mood: MoodSettings = MoodSettings()


def native_files(bundle: Bundle, target: str) -> dict[str, bytes]:
    """Return the files of an app's folder by name; raise `BundleError` without a mobile file."""
    if "mobile" not in bundle.contents:
        raise BundleError(
            f"{bundle.path}: apps load the mobile file, which this bundle lacks; "
            "convert it again with --formats int8,mobile"
        )
    manifest = bundle.manifest
    model = f"{manifest.name}.tflite"
    told = Thresholds(
        manifest.name, manifest.labels, manifest.input.preprocess, manifest.output.temperature
    )
    return {
        model: bundle.read("mobile"),
        "labels.txt": bundle.read("labels"),
        "MODEL_CARD.md": bundle.read("card"),
        MARK: msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n",
        "README.md": _readme(target, told, model).encode(),
    }


def _readme(target: str, told: Thresholds, model: str) -> str:
    figures = _figures(target, told, model)
    rest = _template("both").substitute(figures)
    return _template(target).substitute({**figures, "rest": rest.strip()})


def _figures(target: str, told: Thresholds, model: str) -> Mapping[str, object]:
    mood = told.mood
    return {
        "name": told.model,
        "model": model,
        "stem": told.model,
        "language": LANGUAGES[target],
        "labels": ", ".join(told.labels),
        "size": told.preprocess.size,
        "temperature": told.temperature,
        "scale": SHORT.calibration.scale,
        "up": -SHORT.calibration.down,
        "seconds": mood.seconds,
        "threshold": mood.threshold,
        "hysteresis": mood.hysteresis,
        "dwell": mood.dwell,
    }


def _template(name: str) -> Template:
    return Template((WORDS / f"{name}.md").read_text())
