"""Ranges of activations, measured before quantization-aware training begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras as keras

WRAPPED = ("output", "post_activation")
"""How tfmot names the ranges of a layer's output."""


def set_ranges(quantized: Any, source: Any, pictures: np.ndarray) -> None:
    """Start every activation's range at what the float model shows on `pictures`.

    tfmot starts each range at -6..6 and moves it by a thousandth a step: after the few
    epochs of a fine-tuning a third of the 256 levels would still be spent on nothing.
    `quantized` was made from `source`; pictures are float32 (N, 48, 48, 1) in 0..1.
    """
    ranges = {}
    for layer in quantized.layers:
        weights = {weight.name.split("/")[-1]: weight for weight in layer.weights}
        for kind in WRAPPED:
            if f"{kind}_min:0" in weights:
                pair = weights[f"{kind}_min:0"], weights[f"{kind}_max:0"]
                ranges[layer.layer.name] = pair
    outputs = {name: source.get_layer(name).output for name in ranges}
    seen = keras.Model(source.input, outputs).predict(pictures, verbose=0)
    for name, (low, high) in ranges.items():
        # Zero must stay exact: padding and ReLU rest on it.
        low.assign(min(0.0, float(seen[name].min())))
        high.assign(max(0.0, float(seen[name].max())))
    _set_input(quantized)


def _set_input(quantized: Any) -> None:
    """Grey levels are 0..1 whatever the pictures show, so int8 is the level less 128 exactly."""
    limits = {"min": 0.0, "max": 1.0}
    for weight in quantized.get_layer("quantize_layer").weights:
        end = weight.name.removesuffix(":0")[-3:]
        if end in limits:
            weight.assign(limits[end])
