"""The files of a native app: a model that MediaPipe loads as it is, and its thresholds."""

from __future__ import annotations

from pathlib import Path
from string import Template

import msgspec

from edgefer.bundle import Bundle
from edgefer.errors import BundleError
from edgefer.preprocess import Preprocess
from edgefer_device.export.contract import MoodFilter, mood_filter
from edgefer_device.faces.blazeface import FULL, SHORT
from edgefer_device.faces.search import TILE

TEMPLATES = Path(__file__).parent / "native"
LANGUAGES = {"android": "Kotlin", "ios": "Swift"}
"""Of apps, by target."""


class Thresholds(msgspec.Struct, frozen=True):
    """When a mood is reported; thresholds.json."""

    model: str
    labels: tuple[str, ...]
    preprocess: Preprocess
    temperature: float
    """Already in the file."""
    mood: MoodFilter


def native_files(bundle: Bundle, target: str) -> dict[str, bytes]:
    """Return the files of an app's folder by name; raise `BundleError` without a mobile file."""
    if "mobile" not in bundle.contents:
        raise BundleError(
            f"{bundle.path}: apps load the mobile file, which this bundle lacks; "
            "convert it again with --formats int8,mobile"
        )
    manifest = bundle.manifest
    model = f"{manifest.name}.tflite"
    decoder = manifest.decoder(format="mobile")
    thresholds = Thresholds(
        manifest.name,
        decoder.labels,
        manifest.input.preprocess,
        decoder.calibration.temperature,
        mood_filter(decoder),
    )
    return {
        model: bundle.read("mobile"),
        "labels.txt": "".join(f"{label}\n" for label in decoder.labels).encode(),
        "MODEL_CARD.md": bundle.read("card"),
        "thresholds.json": msgspec.json.format(msgspec.json.encode(thresholds), indent=2) + b"\n",
        "README.md": _readme(target, thresholds, model).encode(),
    }


def _readme(target: str, thresholds: Thresholds, model: str) -> str:
    mood = thresholds.mood
    values = {
        "name": thresholds.model,
        "model": model,
        "stem": thresholds.model,
        "language": LANGUAGES[target],
        "labels": ", ".join(thresholds.labels),
        "size": thresholds.preprocess.size,
        "temperature": thresholds.temperature,
        "scale": SHORT.calibration.scale,
        "up": -SHORT.calibration.down,
        "tile": TILE,
        "far_scale": FULL.calibration.scale,
        "far_up": -FULL.calibration.down,
        **{key: getattr(mood, key) for key in ("threshold", "seconds", "correlation")},
    }
    rest = _template("both").substitute(values)
    return _template(target).substitute(values, rest=rest.strip())


def _template(name: str) -> Template:
    return Template((TEMPLATES / f"{name}.md").read_text())
