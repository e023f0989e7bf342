"""What comes of a model on the Edge TPU: what the rules say, and what the compiler says."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console

from edgefer.bundle import open_bundle
from edgefer.errors import ConversionError, GateFailed
from edgefer.files import write_atomic
from edgefer_convert.formats.edgetpu.compiler import HOW, Report, compile_for_edgetpu, report_table
from edgefer_convert.formats.edgetpu.support import Verdict, check, verdict_table


class Outcome(msgspec.Struct, frozen=True):
    """A model's verdict, and the compiler's report where it was compiled."""

    model: str
    verdict: Verdict
    report: Report | None
    said: str
    """The outcome in one line."""
    to_do: str = ""
    """How it can be compiled, where it was not."""

    def require_all(self) -> None:
        """Raise `GateFailed` unless every operation runs on the Edge TPU.

        The compiler's word counts; the rules' where it was not asked.
        """
        passed = self.verdict.passed if self.report is None else not self.report.on_cpu
        if not passed:
            raise GateFailed(f"{self.model}: {self.said}", self.verdict)


def find_out(name: str, out: Path | None = None) -> Outcome:
    """Check a bundle's int8 file, or a .tflite file, and compile it where the compiler is.

    The compiled file is written to `out`. Raises `ConversionError` for a file that is no
    TFLite or that the compiler fails on, and for an `out` that cannot be written.
    """
    content = _int8_of(name)
    verdict = check(content, name)
    compiled = None if verdict.refused else compile_for_edgetpu(content)
    if compiled is None:
        to_do = "" if verdict.refused else HOW
        if out:
            raise ConversionError(f"{out}: nothing to write: {to_do or verdict.summary}")
        return Outcome(name, verdict, None, verdict.summary, to_do)
    if out:
        try:
            write_atomic(out, compiled.content)
        except OSError as exc:
            raise ConversionError(
                f"{out}: could not be written: {exc.strerror or exc}; name another file"
            ) from exc
    return Outcome(name, verdict, compiled.report, compiled.report.summary)


def _int8_of(name: str) -> bytes:
    path = Path(name)
    if path.suffix != ".tflite":
        return open_bundle(name).read("int8")
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConversionError(f"{path}: cannot be read: {exc.strerror or exc}") from exc


def show_outcome(outcome: Outcome) -> None:
    """Print the tables, and the outcome in words."""
    console = Console()
    console.print(verdict_table(outcome.verdict, f"{outcome.model}: by the published rules"))
    if outcome.report:
        console.print(report_table(outcome.report, f"{outcome.model}: by the compiler"))
    for line in filter(None, (outcome.said, outcome.to_do)):
        console.print(line, highlight=False, soft_wrap=True)
