"""The manifest of a model bundle: all that a device knows about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from edgefer.affine import Affine
from edgefer.appearance import Appearance
from edgefer.errors import SchemaMismatch, SettingsError
from edgefer.heads import Calibration, Decoder, Ensemble, Head, decoder_of, ensemble_decoder
from edgefer.labels import BOTH
from edgefer.messages import NOT_JSON, why_not_json
from edgefer.preprocess import Preprocess
from edgefer.settings import JSON, parse

MANIFEST = "manifest.json"
SCHEMA_VERSION = 2
LARGEST, MARGIN = 1024, 10.0
"""Of a model's side, pixels, and of what is added to a face's box, as a share of its side."""
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
    def on_cpu(self) -> int:
        """How many operations the accelerator does not run, as far as the compiler says."""
        return (self.operations or 0) - (self.mapped or 0)

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
    head: str = ""
    """Label set of its only output, where the model has another head too."""
    compiled: Compiled | None = None
    """Of a file for one accelerator."""

    @property
    def runs_on(self) -> str:
        """`target`, with the compiler's report where there is one."""
        return f"{self.target}; {self.compiled.summary}" if self.compiled else self.target


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Origin of the model."""

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
    origin: str = ""
    """The file that the model was imported from and its sha256; empty for a run of ours."""
    quantization: str = "quantization-aware training"
    """How the int8 scales were found."""
    edgetpu: str = ""
    """Operations that an Edge TPU runs of the int8 file, and whether it was compiled."""
    plurality: Counted | None = None
    """Of FER+ labels: the figure by the wider of the two rules by which its images are counted."""


class Counted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An accuracy and the images that it is of."""

    accuracy: float
    n: int


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A failed check that a person allowed."""

    by: str
    """`user@host`."""
    because: str


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One measured value and its limit; its 95 % interval lies on one side of that, or not."""

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
    interval: tuple[float, float] | None = None
    """Of 95 %, for what is measured on images."""

    @property
    def undecided(self) -> bool:
        """Whether there are not enough images to tell."""
        return self.interval is not None and self.interval[0] < self.limit < self.interval[1]

    @property
    def accepted(self) -> bool:
        """Whether it does not fail, or was allowed to."""
        return self.passed or self.undecided or self.allowed is not None

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
        """`passed`, `FAILED`, not enough images to tell, or who allowed it and why."""
        if self.passed:
            return "passed"
        if self.undecided and self.interval:
            low, high = (_figure(end, self.unit) for end in self.interval)
            return f"not enough images to tell (95 %: {low} to {high})"
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
    omitted: tuple[str, ...] = ()
    """Checks that the limits left out."""
    unjudged: tuple[str, ...] = ()
    """Checks that there were no images for."""

    @property
    def passed(self) -> bool:
        """Whether no check failed, but for those allowed to."""
        return all(check.accepted for check in self.checks)

    @property
    def undecided(self) -> tuple[Check, ...]:
        """The checks with not enough images to tell."""
        return tuple(check for check in self.checks if check.undecided)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `manifest.json`."""

    schema_version: int
    name: str
    input: Input
    heads: tuple[Head, ...]
    """In the order of a file's outputs."""
    ensemble: Ensemble | None
    """None for a single head, and for heads whose labels are not the same expressions."""
    files: dict[str, File]
    """By format, as `runtime.RUNTIMES` names them, `edgetpu`; and `labels`, `card`."""
    evidence: Evidence
    gate: Gate
    licences: dict[str, str]
    appearance: Appearance = Appearance()
    """Of labels of one's own."""

    def __post_init__(self) -> None:
        if not self.heads or len({*self.label_sets}) < len(self.heads):
            raise ValueError(f"heads must be one or more, of different names: {self.label_sets}")
        if self.ensemble and (
            len(self.heads) != 2 or not {*self.heads[0].labels} <= {*self.heads[1].labels}
        ):
            raise ValueError("ensemble needs two heads, the second with all labels of the first")
        if len(self.files) > FILES:
            raise ValueError(f"files must be {FILES} or fewer, got {len(self.files)}")
        if any(file.bytes < 0 for file in self.files.values()):
            raise ValueError("files must have 0 bytes or more")
        if unknown := {file.head for file in self.files.values()} - {"", *self.label_sets}:
            raise ValueError(f"files name the head {min(unknown)}, which the model has not")
        self.appearance.require_labels(label for head in self.heads for label in head.labels)

    @property
    def label_sets(self) -> tuple[str, ...]:
        """Names of the heads."""
        return tuple(head.label_set for head in self.heads)

    @property
    def calibrations(self) -> dict[str, Calibration]:
        """By label set, and `both` for the ensemble."""
        found = {head.label_set: head.calibration for head in self.heads}
        return found | ({BOTH: self.ensemble.calibration} if self.ensemble else {})

    def calibrated(self, found: Mapping[str, Calibration]) -> Manifest:
        """Return the manifest with other calibrations, by label set or `both`."""
        heads = [
            replace(head, calibration=found.get(head.label_set, head.calibration))
            for head in self.heads
        ]
        ensemble = self.ensemble
        if ensemble and BOTH in found:
            ensemble = replace(ensemble, calibration=found[BOTH])
        return replace(self, heads=tuple(heads), ensemble=ensemble)

    def heads_of(self, format: str) -> tuple[Head, ...]:
        """Return the heads in a format's file: all, unless it may have one output only."""
        only = self.files[format].head if format in self.files else ""
        return tuple(head for head in self.heads if only in ("", head.label_set))

    def predicts(self, labels: str, format: str) -> bool:
        """Whether a format's file has what a label set, or `both`, is read from."""
        return self.files[format].head in ("", labels)

    def decoder(self, labels: str = BOTH, format: str = "") -> Decoder:
        """Return how the logits of a format's file become probabilities.

        `labels` is a label set of the model, or `both`: the ensemble where the file has what it
        needs, else its first head. Raises `SettingsError` for another one.
        """
        heads = self.heads_of(format)
        if labels == BOTH:
            if self.ensemble is not None and len(heads) == len(self.heads):
                return ensemble_decoder(heads, self.ensemble)
            labels = heads[0].label_set
        known = [head.label_set for head in heads]
        if labels not in known:
            what = f"its {format} file" if format else self.name
            raise SettingsError(
                f"labels '{labels}': {what} has {', '.join(known)}; choose one of these, or both"
            )
        return decoder_of(heads, labels)


def read_manifest(content: bytes, source: str) -> Manifest:
    """Check and decode manifest.json; raise `SchemaMismatch` or `SettingsError`."""
    try:
        table = msgspec.json.decode(content, type=dict[str, object])
    except NOT_JSON as exc:
        raise SettingsError(f"{source}: not a manifest: {why_not_json(exc)}") from exc
    found = table.get("schema_version")
    if found != SCHEMA_VERSION:
        raise SchemaMismatch(
            f"{source}: schema version {found!r:.40}, this edgefer reads {SCHEMA_VERSION}; "
            "convert the model again or install the edgefer that made it",
            found=found,
            expected=SCHEMA_VERSION,
        )
    return parse(table, Manifest, source, JSON)


def write_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as indented JSON: equal content gives equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
