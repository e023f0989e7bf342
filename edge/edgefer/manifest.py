"""The manifest of a model bundle: all that a device knows about it."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgefer.affine import Affine
from edgefer.errors import SchemaMismatch, SettingsError
from edgefer.labels import check_labels
from edgefer.metrics import Scores
from edgefer.preprocess import Preprocess
from edgefer.settings import parse

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
LARGEST, MARGIN = 1024, 10.0
"""Of a model's side, pixels, and of what is added to a face's box, as a share of its side."""
TEMPERATURES = (0.01, 100.0)
FILES = 64
"""That a bundle may have: each is looked for in its archive."""


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Input of the int8 model; float ones get the same grey levels as reals 0..1."""

    shape: tuple[int, int, int]
    """Height, width, channels."""
    dtype: str
    colour: str
    """`grey`."""
    preprocess: Preprocess
    affine: Affine

    def __post_init__(self) -> None:
        size, margin = self.preprocess.size, self.preprocess.margin
        if not 1 <= size <= LARGEST or self.shape != (size, size, 1):
            raise ValueError(
                f"shape must be (size, size, 1) with `preprocess.size` of 1 to {LARGEST}, "
                f"got {self.shape} with {size}"
            )
        if not -0.5 < margin <= MARGIN:
            raise ValueError(f"margin must be above -0.5 and at most {MARGIN}, got {margin}")


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Output of the int8 model: one logit a label."""

    affine: Affine
    temperature: float
    """Logits divided by this give calibrated probabilities."""

    def __post_init__(self) -> None:
        if not TEMPERATURES[0] <= self.temperature <= TEMPERATURES[1]:
            low, high = TEMPERATURES
            raise ValueError(f"temperature must be {low} to {high}, got {self.temperature}")


class Compiled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an accelerator's compiler reported of a file that it made."""

    compiler: str
    """Its name and version."""
    accelerator: str
    operations: int | None = None
    """None where the compiler does not report them; `mapped` likewise."""
    mapped: int | None = None
    """How many of them run on the accelerator; the others run on the CPU."""
    sram_bytes: int | None = None
    estimated_ms: float | None = None
    """The compiler's own estimate for a face, which is no measurement."""
    faces: int | None = None
    """That its simulator classified, of PublicTest."""
    agreement: float | None = None
    """Share of them with float's label."""

    @property
    def summary(self) -> str:
        """One line."""
        words = [f"{self.accelerator}, by {self.compiler}"]
        if self.operations is not None:
            words.append(f"{self.mapped} of {self.operations} operations on the accelerator")
        if self.sram_bytes is not None:
            words.append(f"{self.sram_bytes:,} bytes of SRAM")
        if self.estimated_ms is not None:
            words.append(f"estimated by the compiler, not measured: {self.estimated_ms:.2f} ms")
        if self.agreement is not None:
            words.append(f"{self.agreement:.1%} of {self.faces:,} faces as float, simulated")
        return "; ".join(words)


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the bundle."""

    path: str
    sha256: str
    bytes: int
    target: str
    """What runs it, in words."""
    compiled: Compiled | None = None
    """Of a file for one accelerator."""

    @property
    def runs_on(self) -> str:
        """`target`, with the compiler's report where there is one."""
        return f"{self.target}; {self.compiled.summary}" if self.compiled else self.target


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Origin of the model and its measured scores."""

    dataset: str
    fingerprint: str
    """sha256 of the dataset."""
    recipe_name: str
    recipe: dict[str, object]
    seed: int
    parameters: int
    macs: int
    minutes: float
    """Wall time of the training."""
    machine: str
    versions: dict[str, str]
    scores: dict[str, Scores]
    """By format, `float` among them, on PrivateTest."""
    origin: str = ""
    """The file that the model was imported from and its sha256; empty for a run of ours."""
    quantization: str = "quantization-aware training"
    """How the int8 scales were found."""
    edgetpu: str = ""
    """Operations that an Edge TPU runs of the int8 file, and whether it was compiled."""


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A failed check that a person allowed."""

    by: str
    """`user@host`."""
    because: str


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measured value and its limit."""

    name: str
    measured: float
    limit: float
    passed: bool
    unit: Literal["share", "tensors", "bytes", "MMAC"] = "share"
    """A `share` is 0..1."""
    at_least: bool = False
    """Whether the limit is a minimum, not a maximum."""
    detail: str = ""
    """The class or tensor that was measured."""
    allowed: Allowed | None = None

    @property
    def accepted(self) -> bool:
        """Whether it passed or was allowed."""
        return self.passed or self.allowed is not None

    @property
    def found(self) -> str:
        """The value in words, with the detail: `3.64% (disgust)`."""
        figure = _figure(self.measured, self.unit)
        return f"{figure} ({self.detail})" if self.detail else figure

    @property
    def wanted(self) -> str:
        """The limit in words: `at most 0.50%`."""
        return f"at {'least' if self.at_least else 'most'} {_figure(self.limit, self.unit)}"

    @property
    def verdict(self) -> str:
        """`passed`, `FAILED`, or who allowed it and why."""
        if self.passed:
            return "passed"
        if self.allowed:
            return f"FAILED, allowed by {self.allowed.by}: {self.allowed.because}"
        return "FAILED"


def _figure(value: float, unit: str) -> str:
    if unit == "share":
        return f"{value:.2%}"
    return f"{value:,.1f} {unit}" if unit == "MMAC" else f"{value:,.0f} {unit}"


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The verdict on a conversion."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed or was allowed."""
        return all(check.accepted for check in self.checks)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `manifest.json`."""

    schema_version: int
    name: str
    label_set: str
    labels: tuple[str, ...]
    input: Input
    output: Output
    files: dict[str, File]
    """By format, as `runtime.RUNTIMES` names them, `edgetpu`; and `labels`, `card`."""
    evidence: Evidence
    gate: Gate
    licences: dict[str, str]

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len({*self.labels, ""}) != len(self.labels) + 1:
            raise ValueError(f"labels must be two or more different names, got {self.labels}")
        check_labels(self.labels, "labels")
        if len(self.files) > FILES:
            raise ValueError(f"files must be {FILES} or fewer, got {len(self.files)}")
        if any(file.bytes < 0 for file in self.files.values()):
            raise ValueError("files must have 0 bytes or more")


def read_manifest(content: bytes, source: str) -> Manifest:
    """Check and decode manifest.json; raise `SchemaMismatch` or `SettingsError`."""
    try:
        table = msgspec.json.decode(content, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise SettingsError(f"{source}: not a manifest: {exc}") from exc
    found = table.get("schema_version")
    if found != SCHEMA_VERSION:
        raise SchemaMismatch(
            f"{source}: schema version {found!r:.40}, this edgefer reads {SCHEMA_VERSION}; "
            "convert the model again or install the edgefer that made it",
            found=found,
            expected=SCHEMA_VERSION,
        )
    return parse(table, Manifest, source)


def write_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as indented JSON: equal content gives equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
