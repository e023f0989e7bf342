"""A bundle shown to a person."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from edgefer.bundle import Bundle
from edgefer.manifest import Manifest
from edgefer.metrics import Scores


def show(bundle: Bundle) -> None:
    """Print what a bundle holds, its scores and its gate's verdict."""
    console, manifest = Console(), bundle.manifest
    console.print(f"[bold]{manifest.name}[/bold]  {bundle.path}", highlight=False)
    console.print(_facts(manifest))
    console.print(_files(manifest))
    show_scores(manifest.evidence.scores)
    console.print(_gate(manifest))


def show_scores(scores: Mapping[str, Scores]) -> None:
    """Print the scores of formats on PrivateTest, and of int8 (else the first) by class."""
    table = Table("format", "accuracy", "±95 %", "leak-free", "macro-F1", "ECE", "= float")
    for name, one in scores.items():
        table.add_row(
            name,
            f"{one.accuracy:.2%}",
            f"{100 * one.interval:.1f}",
            f"{one.accuracy_leak_free:.2%}",
            f"{one.macro_f1:.3f}",
            f"{one.calibration_error:.3f}",
            f"{one.agreement_with_float:.2%}",
        )
    table.title = "PrivateTest"
    console = Console()
    console.print(table)
    first = "int8" if "int8" in scores else next(iter(scores))
    console.print(_classes(first, scores[first]))


def _classes(name: str, scores: Scores) -> Table:
    table = Table("label", "pictures", "recall", "precision", "F1", title=f"{name}, by class")
    for label, one in scores.per_class.items():
        table.add_row(
            label, str(one.n), f"{one.recall:.1%}", f"{one.precision:.1%}", f"{one.f1:.3f}"
        )
    return table


def _facts(manifest: Manifest) -> Table:
    evidence, spec, output = manifest.evidence, manifest.input, manifest.output
    table = Table(show_header=False)
    for name, value in (
        ("labels", ", ".join(manifest.labels)),
        ("input", f"{spec.dtype} {spec.shape} {spec.colour}, scale {spec.affine.scale:.6f}, "
                  f"zero point {spec.affine.zero_point}"),
        ("output", f"logits, scale {output.affine.scale:.6f}, zero point "
                   f"{output.affine.zero_point}, temperature {output.temperature}"),
        ("recipe", f"{evidence.recipe_name}, seed {evidence.seed}"),
        ("size", f"{evidence.parameters:,} parameters, {evidence.macs / 1e6:.1f} MMAC"),
        ("trained", f"{evidence.minutes:.0f} minutes on {evidence.machine}"),
        ("dataset", f"{evidence.dataset}, sha256 {evidence.fingerprint[:16]}…"),
    ):  # fmt: skip
        table.add_row(name, value)
    return table


def _files(manifest: Manifest) -> Table:
    table = Table("format", "file", "bytes", "runs on", "sha256")
    for name, file in manifest.files.items():
        table.add_row(name, file.path, f"{file.bytes:,}", file.target, f"{file.sha256[:16]}…")
    return table


def _gate(manifest: Manifest) -> Table:
    table = Table("gate", "measured", "at most", "verdict")
    for check in manifest.gate.checks:
        verdict = "[green]passed" if check.passed else "[red]FAILED"
        table.add_row(check.name, f"{check.measured:.2%}", f"{check.limit:.2%}", verdict)
    return table
