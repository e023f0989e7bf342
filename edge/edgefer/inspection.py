"""A bundle printed for a person: its manifest, and the graph of its int8 file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text

from edgefer.bundle import Bundle
from edgefer.errors import MissingExtra
from edgefer.heads import Calibration, Ensemble, Head
from edgefer.labels import BOTH
from edgefer.manifest import Evidence, Gate, Manifest
from edgefer.metrics import Interval, Scores
from edgefer.signature import describe_signature
from edgefer.terminal import Terminal, styled
from edgefer.tflite_file import Graph, GraphTensor, read_graph

FORMAT = "int8"
"""The file of a bundle whose graph is shown."""
STEM = "SPACE_TO_DEPTH"
"""The operation that a conversion adds to it, after it was checked for the Edge TPU."""


def show(bundle: Bundle) -> None:
    """Print what a bundle holds, its scores and its gate's verdict."""
    console, manifest = Terminal(), bundle.manifest
    console.print(styled((manifest.name, "bold"), f"  {bundle.path}"))
    console.print(_facts(manifest))
    console.print(_files(manifest))
    for name, file in manifest.files.items():
        if file.compiled:
            console.print(f"{name}: {file.compiled.summary}")
    console.print(describe_signature(bundle.path), soft_wrap=True)
    for label_set, one in manifest.calibrations.items():
        show_scores(one.scores, label_set)
    console.print(gate_table(manifest.gate))


def show_scores(scores: Mapping[str, Scores], label_set: str) -> None:
    """Print the scores of formats on PrivateTest, and of int8 (else the first) by class."""
    if not scores:
        return
    first = "int8" if "int8" in scores else next(iter(scores))
    n, clean = scores[first].n, scores[first].n_leak_free
    table = Table("format", "accuracy", "leak-free", "macro-F1", "ECE", "= float")
    table.title = (
        f"{label_set}, PrivateTest: {n:,} images, {clean:,} leak-free; 95 % intervals below"
    )
    for name, one in scores.items():
        table.add_row(
            name,
            share(one.accuracy, one.bounds),
            share(one.accuracy_leak_free, one.bounds_leak_free) if one.n_leak_free else "none",
            f"{one.macro_f1:.3f}",
            f"{one.calibration_error:.3f}",
            f"{one.agreement_with_float:.2%}",
        )
    console = Terminal()
    console.print(table)
    console.print(_classes(first, scores[first]))


def share(value: float, bounds: Interval) -> Text:
    """Return a share with its interval on a line below: `66.26%`, `64.7 to 67.8`."""
    return styled(f"{value:.2%}\n", (f"{100 * bounds.low:.1f} to {100 * bounds.high:.1f}", "dim"))


def _classes(name: str, scores: Scores) -> Table:
    table = Table("label", "images", "recall", "precision", "F1", title=f"{name}, by class")
    for label, one in scores.per_class.items():
        table.add_row(
            label, str(one.n), f"{one.recall:.1%}", f"{one.precision:.1%}", f"{one.f1:.3f}"
        )
    return table


def _facts(manifest: Manifest) -> Table:
    evidence, spec = manifest.evidence, manifest.input
    table = Table(show_header=False)
    for name, value in (
        ("input", f"{spec.dtype} {spec.shape} {spec.colour}, scale {spec.affine.scale:.6f}, "
                  f"zero point {spec.affine.zero_point}"),
        *((head.label_set, _head(head)) for head in manifest.heads),
        *((BOTH, _ensemble(one)) for one in (manifest.ensemble,) if one),
        ("origin", _origin(evidence)),
        ("quantization", evidence.quantization),
        ("size", f"{evidence.parameters:,} parameters, {evidence.macs / 1e6:.1f} MMAC"),
        ("Edge TPU", evidence.edgetpu or "not checked"),
        ("dataset", _dataset(evidence)),
    ):  # fmt: skip
        table.add_row(name, value)
    return table


def _head(head: Head) -> str:
    return (
        f"{', '.join(head.labels)}: logits, scale {head.affine.scale:.6f}, zero point "
        f"{head.affine.zero_point}, {_calibration(head.calibration)}"
    )


def _ensemble(ensemble: Ensemble) -> str:
    return f"second head weighs {ensemble.weight}, {_calibration(ensemble.calibration)}"


def _calibration(one: Calibration) -> str:
    if not one.scores:
        return "neither measured nor calibrated"
    return f"temperature {one.temperature}, 85 % at a confidence of {one.threshold:.2f} or more"


def _dataset(evidence: Evidence) -> str:
    if not evidence.fingerprint:
        return "none: what the model predicts was not judged"
    return f"{evidence.dataset}, sha256 {evidence.fingerprint[:16]}…"


def _origin(evidence: Evidence) -> str:
    if evidence.origin:
        return f"{evidence.origin}, imported"
    how = f"recipe {evidence.recipe_name}, seed {evidence.seed}"
    return f"{how}, {evidence.minutes:.0f} minutes on {evidence.machine}"


def _files(manifest: Manifest) -> Table:
    table = Table("format", "file, and what runs it", "bytes", "sha256")
    for name, file in manifest.files.items():
        what = f"{file.path}\n{file.target}"
        table.add_row(name, what, f"{file.bytes:,}", f"{file.sha256[:12]}…")
    return table


def show_gate(gate: Gate) -> None:
    """Print a gate's verdict, check by check."""
    Terminal().print(gate_table(gate))


def gate_table(gate: Gate) -> Table:
    """Return a gate's verdict as a table."""
    table = Table("gate", "measured", "limit", "verdict")
    for check in gate.checks:
        colour = "green" if check.passed else "yellow" if check.accepted else "red"
        table.add_row(check.name, check.found, check.wanted, styled((check.verdict, colour)))
    for name in gate.omitted:
        table.add_row(name, "-", "-", styled(("left out by the limits", "yellow")))
    for name in gate.unjudged:
        table.add_row(name, "-", "-", styled(("not judged: no images", "yellow")))
    return table


def show_graph(bundle: Bundle) -> None:
    """Print what a bundle's int8 file computes, where it has one and LiteRT is installed."""
    console = Terminal()
    if FORMAT not in bundle.manifest.files:
        return
    try:
        graph = read_graph(bundle.read(FORMAT), str(bundle.path))
    except MissingExtra as exc:
        console.print(styled((f"operations and tensors are not shown: {exc}", "dim")))
        return
    for table in graph_tables(graph, bundle.manifest.files[FORMAT].path):
        console.print(table)


def graph_tables(graph: Graph, title: str) -> list[Table]:
    """Return two tables: operations by kind, and tensors by what they are for."""
    return [_ops(graph, title), _tensors(graph, title)]


def _ops(graph: Graph, title: str) -> Table:
    table = Table("operation", "version", "count", title=f"{title}: {len(graph.ops)} operations")
    for (name, version), count in graph.counts().most_common():
        table.add_row(name, str(version), str(count))
        if name == STEM:
            table.caption = f"{STEM} is for processors: the Edge TPU's file is made without it."
    return table


def _tensors(graph: Graph, title: str) -> Table:
    table = Table("tensors", "type", "count", "bytes", "scales", "per channel", "scale")
    table.title = f"{title}: {len(graph.tensors)} tensors"
    groups: dict[tuple[str, str], list[GraphTensor]] = {}
    for index, tensor in enumerate(graph.tensors):
        groups.setdefault((_use(graph, index), tensor.dtype), []).append(tensor)
    for (use, dtype), tensors in sorted(groups.items()):
        table.add_row(use, dtype, *_figures(tensors))
    return table


def _use(graph: Graph, index: int) -> str:
    tensor = graph.tensors[index]
    if index in graph.inputs:
        return "input"
    if index in graph.outputs:
        return "output"
    if tensor.content is None:
        return "computed"
    if not tensor.scales and tensor.dtype.startswith("int"):
        return "shapes, axes"
    return "biases" if tensor.dtype == "int32" else "weights"


def _figures(tensors: list[GraphTensor]) -> Iterable[str]:
    """Count, bytes, scales, tensors with one a channel, and the smallest and largest scale."""
    scales = [scale for tensor in tensors for scale in tensor.scales]
    constant = sum(len(tensor.content or b"") for tensor in tensors)
    per_channel = sum(tensor.per_channel for tensor in tensors)
    yield str(len(tensors))
    yield f"{constant:,}" if constant else ""
    yield f"{len(scales):,}" if scales else ""
    yield str(per_channel) if per_channel else ""
    yield _span(min(scales), max(scales)) if scales else ""


def _span(low: float, high: float) -> str:
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
