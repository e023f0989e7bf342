"""The Edge TPU's part of a bundle: what it would run, the compiled file, or how to make it."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass

from edgefer.console import FallbackWarning
from edgefer.errors import ConversionError
from edgefer_convert.formats.edgetpu.compiler import HOW, PROGRAM, compile_for_edgetpu
from edgefer_convert.formats.edgetpu.support import Verdict, check

FORMAT = "edgetpu"


@dataclass(frozen=True, slots=True)
class EdgeTpuPart:
    """What a bundle tells of the Edge TPU."""

    said: str = ""
    """For the manifest and the card; empty where there is no int8 file."""
    mapped: float | None = None
    """Share of the operations on the Edge TPU: the compiler's word, else that of its rules."""
    content: bytes | None = None
    """The compiled file, where there is a compiler."""


def edgetpu_part(int8: bytes | None, wanted: bool, asked: bool) -> EdgeTpuPart:
    """Check a bundle's int8 file for the Edge TPU, and compile it where that is `wanted`.

    A file that the compiler would refuse, or does, is an error only where somebody `asked`
    for the format by name; otherwise it is a `FallbackWarning` warning, as is less than all on the
    Edge TPU: the gate's `edgetpu_mapped` makes a failure of that. Raises `ConversionError`.
    """
    if int8 is None:
        return EdgeTpuPart()
    verdict = check(int8)
    part = _compiled(int8, verdict) if wanted else EdgeTpuPart(_not_compiled(verdict))
    if part.content is None and asked:
        raise ConversionError(f"--formats {FORMAT}: {part.said}")
    if part.mapped is None:
        part = EdgeTpuPart(part.said, verdict.mapped_share)
    if part.mapped is not None and part.mapped < 1:
        warnings.warn(f"Edge TPU: {part.said}", FallbackWarning, stacklevel=2)
    return part


def _compiled(int8: bytes, verdict: Verdict) -> EdgeTpuPart:
    if verdict.refused:
        # The compiler itself would only crash or speak of an opcode.
        return EdgeTpuPart(f"not compiled: {verdict.summary}")
    try:
        done = compile_for_edgetpu(int8)
    except ConversionError as exc:
        return EdgeTpuPart(f"not compiled: {exc}", 0.0)
    if done is None:
        return EdgeTpuPart(_not_compiled(verdict))
    return EdgeTpuPart(done.report.summary, done.report.mapped_share, done.content)


def _not_compiled(verdict: Verdict) -> str:
    """Whether it could be, and what to do."""
    if verdict.refused:
        return f"not compiled: {verdict.summary}"
    there = shutil.which(PROGRAM) is not None
    how = f"not compiled: add {FORMAT} to --formats" if there else HOW
    return f"{verdict.summary}; {how}"
