"""How a model is to be converted: what the command line asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgefer.bundle import Bundle
from edgefer_convert.gate.limits import Exemption, GateLimits, exemption, load_limits
from edgefer_train.data.dataset import Dataset

Explain = Callable[[Bundle, Dataset], None]
"""What tells where an int8 file of a bundle loses accuracy."""


@dataclass(frozen=True)
class Request:
    """How a model is to be converted."""

    formats: str | None = None
    """`a,b` or `all`; None is `formats.DEFAULT`, as far as the model can become them."""
    ptq: bool = False
    """Quantize a run's float model after training instead of taking its quantized one."""
    representative: Path | None = None
    """An .npz of pictures for quantization after training; some of Training where None."""
    limits: GateLimits = field(default_factory=GateLimits)
    exemption: Exemption | None = None
    explain: Explain | None = None
    """Called before the gate decides: why a model fails it is worth knowing most."""


@dataclass(frozen=True)
class ModelOptions:
    """What a model file does not say of itself; of a run, only its label set is chosen."""

    labels: str | None = None
    """Outputs in order, `a,b,c` or a file of them; or the label set of a run with several."""
    pixels: str = "0..1"
    """How it was trained to see black..white."""
    split: str = "official"
    """Of the data: `official` or `72/8/20`."""


def request_of(
    formats: str | None,
    ptq: bool,
    representative: Path | None,
    gate: Path | None,
    allow: str | None,
    because: str | None,
) -> Request:
    """Return the request that the options make; raise `SettingsError` for what cannot be."""
    limits = load_limits(gate)
    return Request(formats, ptq, representative, limits, exemption(allow, because))
