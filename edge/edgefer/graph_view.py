"""A TFLite file shown to a person: its operations, its tensors and their scales."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from edgefer.bundle import Bundle
from edgefer.errors import MissingExtra
from edgefer.tflite_file import Graph, GraphTensor, read_graph

FORMAT = "int8"
"""The file of a bundle that is looked into."""


def show_graph(bundle: Bundle) -> None:
    """Print what a bundle's int8 file computes, where it has one and LiteRT is installed."""
    console = Console()
    if FORMAT not in bundle.manifest.files:
        return
    try:
        graph = read_graph(bundle.read(FORMAT), str(bundle.path))
    except MissingExtra as exc:
        console.print(f"[dim]operations and tensors are not shown: {exc}[/dim]")
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
