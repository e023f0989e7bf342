"""The options of a conversion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgefer.appearance import Appearance, read_appearance
from edgefer.bundle import Bundle
from edgefer.errors import SettingsError, one_line
from edgefer.gate_limits import GateLimits
from edgefer_convert.gate.limits import Exemption, exemptions, load_limits
from edgefer_train.data.dataset import Dataset

NAME = 64
"""Characters of a bundle's name, at most."""


@dataclass(frozen=True)
class ModelOptions:
    """What an external model's file lacks; of a run, only its label set is chosen."""

    labels: str | None = None
    """Outputs in order, `a,b,c` or a file of them; or the label set of a run with several."""
    pixels: str = "0..1"
    """Range of black..white in its training, one of `PIXEL_RANGES`."""
    split: str = "official"
    """Of the data: `official` or `72/8/20`."""


@dataclass(frozen=True)
class Request:
    """How to convert a model."""

    formats: str | None = None
    """`a,b` or `all`; None is `formats.table.DEFAULT`, where the model can be converted to them."""
    name: str | None = None
    """Of the bundle; None for that of the recipe or the model's file."""
    ptq: bool = False
    """Quantize a run's float model after training instead of converting its quantized one."""
    representative: Path | None = None
    """An .npz of images for quantization after training; some of Training where None."""
    calibration: Path | None = None
    """A folder for the representative images as arrays, which other compilers quantize by."""
    appearance: Appearance = field(default_factory=Appearance)
    """Colours and names of the labels."""
    limits: GateLimits | None = None
    """None for those of a run's recipe, else the defaults."""
    exemptions: tuple[Exemption, ...] = ()
    on_measured: Callable[[Bundle, Dataset], None] | None = None
    """Called with the bundle before the gate decides: `--sensitivity` shows why a model fails."""

    @property
    def requires_edgetpu(self) -> bool:
        """Whether the Edge TPU's format is requested by its name, and not as a part of `all`."""
        return "edgetpu" in (self.formats or "")


def request_of(  # noqa: PLR0913, PLR0917 - the verb's options
    formats: str | None,
    name: str | None,
    ptq: bool,
    representative: Path | None,
    calibration: Path | None,
    appearance: Path | None,
    gate: Path | None,
    allow: Sequence[str],
    because: Sequence[str],
) -> Request:
    """Return the request that the options make; raise `SettingsError` for invalid ones."""
    if name is not None and (not name.strip() or len(name) > NAME or one_line(name) != name):
        raise SettingsError(
            f"--name must be 1 to {NAME} characters on one line, got {one_line(name)[:NAME]!r}"
        )
    return Request(
        formats,
        name,
        ptq,
        representative,
        calibration,
        read_appearance(appearance),
        load_limits(gate) if gate else None,
        exemptions(allow, because),
    )
