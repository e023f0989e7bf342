"""The forms in which a model can leave, by name: file, target and what each is made from."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass

from edgefer.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Format:
    """One form of a model in its bundle."""

    path: str
    target: str
    """What runs it, in words."""
    needs: tuple[str, ...] = ()
    """The formats that it is made from."""
    integer: bool = False
    """Whether it computes in int8: the limits of size and calibration are for these."""


FORMATS = {
    "int8": Format("model.int8.tflite", "LiteRT on any processor; int8 in and out", integer=True),
    "onnx": Format("model.onnx", "onnxruntime; float32"),
    "onnx-int8": Format("model.int8.onnx", "onnxruntime; int8 as QDQ", integer=True),
    "onnx-symmetric": Format(
        "model.symmetric.onnx", "TensorRT; int8 as symmetric QDQ, float32 in and out", integer=True
    ),
    "float16": Format("model.float16.tflite", "LiteRT; float16 weights, float32 in and out"),
    "mobile": Format(
        "model.mobile.tflite",
        "MediaPipe's ImageClassifier; uint8 RGB in, probabilities out",
        needs=("int8",),
        integer=True,
    ),
    "keras": Format("model.keras", "Keras; float32, to train or convert further"),
    "edgetpu": Format(
        "model.edgetpu.tflite", "Edge TPU, by libedgetpu; int8 in and out", needs=("int8",)
    ),
}
"""In the order in which they are made."""

DEFAULT = ("int8", "onnx", "onnx-int8", "edgetpu")
"""As far as the model can become them; `edgetpu` needs its compiler on PATH."""

REFERENCE = "onnx"
"""The float model that `edgefer evaluate` takes agreement with: part of every bundle."""


def chosen(names: str | None, possible: Collection[str], source: str) -> tuple[str, ...]:
    """Return the formats to make for `a,b`, `all` or None, those they need included, in order.

    `possible` are those that `source`, named in errors, can become. Raises `SettingsError`
    for any other name.
    """
    if names == "all":
        asked = set(possible)
    elif names is None:
        asked = set(DEFAULT) & set(possible)
    else:
        asked = {name.strip() for name in names.split(",")}
    for name in sorted(asked - set(possible)):
        raise SettingsError(_refusal(name, possible, source))
    asked |= {need for name in asked for need in FORMATS[name].needs} | {REFERENCE}
    return tuple(name for name in FORMATS if name in asked)


def _refusal(name: str, possible: Collection[str], source: str) -> str:
    can = ", ".join(one for one in FORMATS if one in possible)
    if name in FORMATS:
        return f"--formats: {source} cannot become '{name}', only {can}; bring the Keras model"
    nearest = difflib.get_close_matches(name, possible, n=1)
    hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
    return f"--formats: unknown format '{name}'; known: all, {can}{hint}"
