"""How a model is to be converted: what the command line asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgefer_convert.limits import Exemption, GateLimits, exemption, load_limits


@dataclass(frozen=True)
class Request:
    """How a model is to be converted."""

    formats: str | None = None
    """`a,b` or `all`; None is int8, onnx and onnx-int8, as far as the model can become them."""
    ptq: bool = False
    """Quantize a run's float model after training instead of taking its quantized one."""
    representative: Path | None = None
    """An .npz of pictures for quantization after training; some of Training where None."""
    limits: GateLimits = field(default_factory=GateLimits)
    exemption: Exemption | None = None


def request_of(
    formats: str | None,
    ptq: bool,
    representative: Path | None,
    gate: Path | None,
    allow: str | None,
    because: str | None,
) -> Request:
    """Return the request that the options make; raise `SettingsError` for what cannot be."""
    return Request(formats, ptq, representative, load_limits(gate), exemption(allow, because))
