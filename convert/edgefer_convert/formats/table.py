"""The formats of a model in its bundle: file, target and what each is made from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edgefer.errors import SettingsError
from edgefer.settings import nearest
from edgefer_convert.formats.accelerators import ETHOS_U, ROCKCHIP


@dataclass(frozen=True, slots=True)
class Format:
    """One format of a model in its bundle."""

    path: str
    target: str
    """What runs it, in words."""
    requires: tuple[str, ...] = ()
    """The formats that it is made from."""
    integer: bool = False
    """Whether it computes in integers: the limits of size and calibration are for these."""


FORMATS = {
    "int8": Format("model.int8.tflite", "LiteRT on any processor; int8 in and out", integer=True),
    "onnx": Format("model.onnx", "onnxruntime; float32"),
    "onnx-int8": Format("model.int8.onnx", "onnxruntime; int8 as QDQ", integer=True),
    "onnx-symmetric": Format(
        "model.symmetric.onnx", "TensorRT; int8 as symmetric QDQ, float32 in and out", integer=True
    ),
    "float16": Format("model.float16.tflite", "LiteRT; float16 weights, float32 in and out"),
    "uint8": Format(
        "model.uint8.tflite",
        "LiteRT and programs that give it bytes; uint8 in and out, int8 inside",
        requires=("int8",),
        integer=True,
    ),
    "dynamic": Format("model.dynamic.tflite", "LiteRT; int8 weights, float32 in and out"),
    "int16x8": Format(
        "model.int16x8.tflite",
        "LiteRT; int8 weights, int16 activations, float32 in and out",
        integer=True,
    ),
    "mobile": Format(
        "model.mobile.tflite",
        "MediaPipe's ImageClassifier; uint8 RGB in, probabilities out",
        requires=("int8",),
        integer=True,
    ),
    "keras": Format("model.keras", "Keras; float32, to train or convert further"),
    "edgetpu": Format(
        "model.edgetpu.tflite", "Edge TPU, by libedgetpu; int8 in and out", requires=("int8",)
    ),
    "ethos-u": Format("model.ethos-u.tflite", "Arm Ethos-U; int8 in and out", requires=("int8",)),
    "rknn": Format("model.rknn", "Rockchip's NPU, by librknnrt; int8", requires=("onnx",)),
}
"""In the order in which they are made."""

COMPILED = {"ethos-u": ETHOS_U, "rknn": ROCKCHIP}
"""Formats that are made from a finished bundle, for one of these accelerators."""

INT8_TFLITE = ("int8", "uint8", "mobile")
"""TFLite files in which every tensor must be an integer."""

DEFAULT = ("int8", "onnx", "onnx-int8", "edgetpu")
"""Where the model can be converted to them; `edgetpu` needs its compiler on PATH."""

WITHOUT_IMAGES = ("onnx", "dynamic")
"""What takes the place of `DEFAULT` where there are no images to find int8's ranges on."""

REFERENCE = "onnx"
"""The float model that `edgefer evaluate` compares labels with: part of every bundle."""


def select_formats(
    names: str | None,
    supported: Collection[str],
    source: str,
    default: Collection[str] = DEFAULT,
) -> tuple[str, ...]:
    """Return the formats to make for `a,b`, `all` or None, those they require included, in order.

    `supported` are those that `source`, named in errors, can be converted to; `default` are taken
    of them for None. Raises `SettingsError` for any other name.
    """
    if names == "all":
        selected = set(supported)
    elif names is None:
        selected = set(default) & set(supported)
    else:
        selected = {name.strip() for name in names.split(",")}
    for name in sorted(selected - set(supported)):
        raise SettingsError(_unsupported(name, supported, source))
    selected |= {one for name in selected for one in FORMATS[name].requires} | {REFERENCE}
    return tuple(name for name in FORMATS if name in selected)


def _unsupported(name: str, supported: Collection[str], source: str) -> str:
    known = ", ".join(one for one in FORMATS if one in supported)
    if name in COMPILED:
        return f"--formats: '{name}' is made from a bundle by: edgefer model compile"
    if name in FORMATS:
        return (
            f"--formats: {source} cannot be converted to '{name}', only to {known}; "
            "convert the Keras model"
        )
    guess = nearest(name, supported)
    hint = f"; did you mean '{guess}'?" if guess else ""
    return f"--formats: unknown format '{name}'; known: all, {known}{hint}"
