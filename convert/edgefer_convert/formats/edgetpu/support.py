"""What the Edge TPU runs of an int8 TFLite file: by the published rules, and by the compiler."""

from __future__ import annotations

import shutil
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.table import Table
from rich.text import Text

from edgefer.bundle import open_bundle
from edgefer.console import FallbackWarning
from edgefer.errors import ConversionError, GateFailed
from edgefer.files import write_output
from edgefer.terminal import Terminal, styled
from edgefer.tflite_file import Graph, Op, read_graph
from edgefer_convert.formats.edgetpu.compiler import (
    INSTALL_HINT,
    PROGRAM,
    Report,
    compile_for_edgetpu,
    report_table,
)
from edgefer_convert.formats.edgetpu.rules import (
    DOUBTFUL,
    OPERATIONS,
    PARTITION,
    VERSIONS,
    refusal,
    rules_for,
)

COMPILED = "edgetpu-custom-op"
"""The one operation that the compiler puts in place of all that it maps."""

ON_CHIP = 8 * 2**20
"""About what the Edge TPU caches of a model's parameters, bytes (coral.ai/docs/edgetpu/compiler);
what is over is streamed from the host at each inference."""


@dataclass(frozen=True, slots=True)
class OpSupport:
    """Where one operation would run."""

    name: str
    version: int
    mapped: bool
    reason: str
    """Why not on the Edge TPU, or what is in doubt."""
    source: str
    """Of the rule behind the reason."""


@dataclass(frozen=True, slots=True)
class Support:
    """What the compiler would do with a file, by its published rules."""

    ops: tuple[OpSupport, ...]
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
        return self.mapped_share == 1

    @property
    def summary(self) -> str:
        """One line."""
        if self.refused:
            return f"edgetpu_compiler 16 would refuse the file: {self.refused}"
        mapped = sum(op.mapped for op in self.ops)
        summary = f"{mapped} of {len(self.ops)} operations would run on the Edge TPU"
        if not mapped:
            return summary
        fits = "fit" if self.parameter_bytes <= ON_CHIP else "do not fit"
        return f"{summary}; {self.parameter_bytes:,} bytes of parameters {fits} on chip"


def check_support(content: bytes, source: str = "model") -> Support:
    """Return, operation by operation, what edgetpu_compiler 16 would map and would refuse.

    Raises `ConversionError`, naming `source`, for bytes that are no TFLite file, and for a
    file that the compiler has made already.
    """
    graph = read_graph(content, source)
    if any(op.name == COMPILED for op in graph.ops):
        raise ConversionError(f"{source}: is compiled for the Edge TPU already")
    refused = next(filter(None, map(refusal, graph.ops)), "")
    if not refused and graph.graphs > 1:
        refused = f"the file has {graph.graphs} graphs (loops or conditions); one is allowed"
    ops = tuple(OpSupport(op.name, op.version, False, refusal(op), VERSIONS) for op in graph.ops)
    size = sum(len(tensor.content or b"") for tensor in graph.tensors)
    return Support(ops if refused else _mapped(graph), refused, size)


def _mapped(graph: Graph) -> tuple[OpSupport, ...]:
    """Return where each operation would run: the compiler cuts one piece out of the graph, so
    what depends on an operation behind that piece stays on the CPU, whatever it is."""
    behind: dict[int, tuple[int, bool]] = {}
    ops = []
    for op in graph.ops:
        reason, source = _reason(graph, op)
        piece = _piece(op, behind, supported=not reason)
        if not reason and piece > 1:
            reason, source = "comes after an operation on the CPU", PARTITION
        mapped = not reason
        behind.update((index, (piece, mapped)) for index in op.outputs)
        if mapped and op.name in DOUBTFUL:
            reason, source = DOUBTFUL[op.name], OPERATIONS
        ops.append(OpSupport(op.name, op.version, mapped, reason, source))
    return tuple(ops)


def _piece(op: Op, behind: dict[int, tuple[int, bool]], supported: bool) -> int:
    """Return the number, from 1, of the piece on the Edge TPU that an operation would belong to,
    or of the last one before it; `behind` has that of tensors, and whether they come from it."""
    sources = [behind.get(index, (0, False)) for index in op.inputs]
    if not supported:
        return max((piece for piece, _ in sources), default=0)
    return max((piece if mapped else piece + 1 for piece, mapped in sources), default=1)


def _reason(graph: Graph, op: Op) -> tuple[str, str]:
    """Return the first rule that an operation breaks, and its source; two empty texts if none."""
    rules = rules_for(op.name)
    if rules is None:
        return "is not an operation of the Edge TPU", OPERATIONS
    broken = (rule for rule in rules if not rule.holds(graph, op))
    return next(((rule.limit, rule.source) for rule in broken), ("", ""))


# --- the file of a bundle, and of a command -----------------------------------


@dataclass(frozen=True, slots=True)
class EdgeTpuEntry:
    """The Edge TPU's part of a bundle."""

    summary: str = ""
    """For the manifest and the card; empty where there is no int8 file."""
    mapped: float | None = None
    """Share of the operations on the Edge TPU: by the compiler, else by its rules."""
    content: bytes | None = None
    """The compiled file, where there is a compiler."""


def edgetpu_entry(int8: bytes | None, *, selected: bool, required: bool) -> EdgeTpuEntry:
    """Check a bundle's int8 file for the Edge TPU, and compile it where the format is `selected`.

    A file that the compiler would refuse, or does, is an error only where somebody `required`
    the format by name; otherwise it is a `FallbackWarning`, as is less than all on the
    Edge TPU: the gate's `edgetpu_mapped` makes a failure of that. Raises `ConversionError`.
    """
    if int8 is None:
        return EdgeTpuEntry()
    support = check_support(int8)
    entry = _compiled(int8, support) if selected else _not_compiled(support)
    if entry.content is None and required:
        raise ConversionError(f"--formats edgetpu: {entry.summary}")
    if entry.mapped is not None and entry.mapped < 1:
        warnings.warn(f"Edge TPU: {entry.summary}", FallbackWarning, stacklevel=2)
    return entry


def _compiled(int8: bytes, support: Support) -> EdgeTpuEntry:
    if support.refused:
        # The compiler itself would only crash, or complain about an opcode.
        return _not_compiled(support)
    try:
        done = compile_for_edgetpu(int8)
    except ConversionError as exc:
        return EdgeTpuEntry(f"not compiled: {exc}", 0.0)
    if done is None:
        return _not_compiled(support)
    return EdgeTpuEntry(done.report.summary, done.report.mapped_share, done.content)


def _not_compiled(support: Support) -> EdgeTpuEntry:
    summary = f"not compiled: {support.summary}"
    if not support.refused:
        installed = shutil.which(PROGRAM) is not None
        hint = "not compiled: add edgetpu to --formats" if installed else INSTALL_HINT
        summary = f"{support.summary}; {hint}"
    return EdgeTpuEntry(summary, support.mapped_share)


class EdgeTpuResult(msgspec.Struct, frozen=True):
    """A model's support, and the compiler's report where it was compiled."""

    model: str
    support: Support
    report: Report | None
    summary: str
    """One line."""
    hint: str = ""
    """How it can be compiled, where it was not."""

    def require_all(self) -> None:
        """Raise `GateFailed` unless every operation runs on the Edge TPU.

        The compiler decides; the rules where it did not run.
        """
        passed = self.support.passed if self.report is None else not self.report.on_cpu
        if not passed:
            raise GateFailed(f"{self.model}: {self.summary}", self.support)


def check_model(name: str, out: Path | None = None) -> EdgeTpuResult:
    """Check a bundle's int8 file, or a .tflite file, and compile it where the compiler is.

    The compiled file is written to `out`. Raises `ConversionError` for a file that is no
    TFLite or that the compiler fails on, `SettingsError` for an `out` that cannot be written.
    """
    content = _read_int8(name)
    support = check_support(content, name)
    compiled = None if support.refused else compile_for_edgetpu(content)
    if compiled is None:
        hint = "" if support.refused else INSTALL_HINT
        if out:
            raise ConversionError(f"{out}: nothing to write: {hint or support.summary}")
        return EdgeTpuResult(name, support, None, support.summary, hint)
    if out:
        write_output(out, compiled.content)
    return EdgeTpuResult(name, support, compiled.report, compiled.report.summary)


def _read_int8(name: str) -> bytes:
    path = Path(name)
    if path.suffix != ".tflite":
        return open_bundle(name).read("int8")
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConversionError(f"{path}: cannot be read: {exc.strerror or exc}") from exc


def show_result(result: EdgeTpuResult) -> None:
    """Print the tables and the summary."""
    console = Terminal()
    console.print(support_table(result.support, f"{result.model}: by the published rules"))
    if result.report:
        console.print(report_table(result.report, f"{result.model}: by the compiler"))
    for line in filter(None, (result.summary, result.hint)):
        console.print(line, soft_wrap=True)


def support_table(support: Support, title: str) -> Table:
    """Return a table with equal operations on one line, with their count."""
    sources = {op.source: None for op in support.ops if op.reason}
    numbers = {source: f"[{number}]" for number, source in enumerate(sources, 1)}
    table = Table("operation", "version", "count", "runs on", "reason", title=title)
    table.caption = "\n".join(f"{number} {source}" for source, number in numbers.items())
    table.caption_justify = "left"
    for op, count in Counter(support.ops).items():
        reason = f"{op.reason} {numbers[op.source]}" if op.reason else ""
        table.add_row(op.name, str(op.version), str(count), _place(support, op), reason)
    return table


def _place(support: Support, op: OpSupport) -> Text:
    if support.refused:
        return styled(("refused", "red") if op.reason else "nowhere")
    return styled(("Edge TPU", "green") if op.mapped else ("CPU", "red"))
