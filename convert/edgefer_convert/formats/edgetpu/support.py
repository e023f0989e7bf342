"""The Edge TPU: which operations of an int8 TFLite file it would run, told without its compiler."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rich.table import Table

from edgefer.errors import ConversionError
from edgefer.tflite_file import Graph, Op, read_graph
from edgefer_convert.formats.edgetpu.rules import (
    DOUBTFUL,
    OPERATIONS,
    PARTITION,
    VERSIONS,
    general,
    particular,
    refusal,
)

COMPILED = "edgetpu-custom-op"
"""The one operation that the compiler puts in place of all that it maps."""

ON_CHIP = 8 * 2**20
"""About what the Edge TPU caches of a model's parameters, bytes (coral.ai/docs/edgetpu/compiler);
what is over is streamed from the host at each inference."""


@dataclass(frozen=True, slots=True)
class OpVerdict:
    """Where one operation would run."""

    name: str
    version: int
    mapped: bool
    reason: str
    """Why not on the Edge TPU, or what is in doubt."""
    source: str
    """Of the rule behind the reason."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the compiler would do with a file."""

    ops: tuple[OpVerdict, ...]
    """In the order in which they run."""
    refused: str
    """Why it would not read the file at all; empty where it would."""
    parameter_bytes: int

    @property
    def mapped_share(self) -> float:
        """Share of the operations on the Edge TPU, 0..1."""
        return sum(op.mapped for op in self.ops) / max(len(self.ops), 1)

    @property
    def passed(self) -> bool:
        """Whether every operation would run on the Edge TPU."""
        return bool(self.ops) and not self.refused and all(op.mapped for op in self.ops)

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if self.refused:
            return f"edgetpu_compiler 16 would refuse the file: {self.refused}"
        mapped = sum(op.mapped for op in self.ops)
        said = f"{mapped} of {len(self.ops)} operations would run on the Edge TPU"
        if not mapped:
            return said
        fits = "fit" if self.parameter_bytes <= ON_CHIP else "do not fit"
        return f"{said}; {self.parameter_bytes:,} bytes of parameters {fits} on chip"


def check(content: bytes, source: str = "model") -> Verdict:
    """Tell, operation by operation, what edgetpu_compiler 16 would map and what it would refuse.

    Raises `ConversionError`, naming `source`, for bytes that are no TFLite file, and for a
    file that the compiler has made already.
    """
    graph = read_graph(content, source)
    if any(op.name == COMPILED for op in graph.ops):
        raise ConversionError(f"{source}: is compiled for the Edge TPU already")
    refused = next(filter(None, map(refusal, graph.ops)), "")
    if not refused and graph.graphs > 1:
        refused = f"the file has {graph.graphs} graphs (loops or conditions); one is allowed"
    if refused:
        ops = tuple(
            OpVerdict(op.name, op.version, False, refusal(op), VERSIONS) for op in graph.ops
        )
    else:
        ops = _mapped(graph)
    return Verdict(ops, refused, sum(len(tensor.content or b"") for tensor in graph.tensors))


def _mapped(graph: Graph) -> tuple[OpVerdict, ...]:
    """Where each operation would run: the compiler cuts one piece out of the graph, so what
    depends on an operation behind that piece stays on the CPU, whatever it is."""
    behind: dict[int, tuple[int, bool]] = {}
    verdicts = []
    for op in graph.ops:
        reason, source = _reason(graph, op)
        piece = _piece(op, behind, supported=not reason)
        if not reason and piece > 1:
            reason, source = "comes after an operation on the CPU", PARTITION
        mapped = not reason
        behind.update((index, (piece, mapped)) for index in op.outputs)
        if mapped and op.name in DOUBTFUL:
            reason, source = DOUBTFUL[op.name], OPERATIONS
        verdicts.append(OpVerdict(op.name, op.version, mapped, reason, source))
    return tuple(verdicts)


def _piece(op: Op, behind: dict[int, tuple[int, bool]], supported: bool) -> int:
    """The number, from 1, of the piece on the Edge TPU that an operation would belong to, or
    of the last one before it; `behind` holds that for tensors, and whether they come from it."""
    sources = [behind.get(index, (0, False)) for index in op.inputs]
    if not supported:
        return max((piece for piece, _ in sources), default=0)
    return max((piece if mapped else piece + 1 for piece, mapped in sources), default=1)


def _reason(graph: Graph, op: Op) -> tuple[str, str]:
    """The first rule that an operation breaks, and its source; two empty texts where none."""
    rules = particular(op.name)
    if rules is None:
        return "is not an operation of the Edge TPU", OPERATIONS
    broken = (rule for rule in (*general(), *rules) if not rule.holds(graph, op))
    return next(((rule.limit, rule.source) for rule in broken), ("", ""))


def verdict_table(verdict: Verdict, title: str) -> Table:
    """Return the verdict for people: equal operations on one line, with their count."""
    sources = {op.source: None for op in verdict.ops if op.reason}
    numbers = {source: f"[{number}]" for number, source in enumerate(sources, 1)}
    table = Table("operation", "version", "count", "runs on", "why", title=title)
    table.caption = "\n".join(f"{number} {source}" for source, number in numbers.items())
    table.caption_justify = "left"
    for op, count in Counter(verdict.ops).items():
        why = f"{op.reason} {numbers[op.source]}" if op.reason else ""
        table.add_row(op.name, str(op.version), str(count), _where(verdict, op), why)
    return table


def _where(verdict: Verdict, op: OpVerdict) -> str:
    if verdict.refused:
        return "[red]refused" if op.reason else "nowhere"
    return "[green]Edge TPU" if op.mapped else "[red]CPU"
