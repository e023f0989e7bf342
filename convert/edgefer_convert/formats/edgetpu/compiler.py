"""Coral's own compiler, run where it is installed, and the parser of its report.

The forms of the report are those of version 16.0.384591198, after reports in the issues of
google-coral/edgetpu (512, 601) and coral.ai/docs/edgetpu/compiler.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from edgefer.errors import ConversionError
from edgefer.terminal import styled

PROGRAM = "edgetpu_compiler"
MAPPED = "Mapped to Edge TPU"

INSTALL_HINT = (
    f"not compiled: {PROGRAM} is not on PATH; it runs on x86-64 Linux and comes from Coral's apt "
    "repository alone, or in a container: docker build -t edgefer-edgetpu "
    "-f convert/Dockerfile.edgetpu convert, then PATH=convert/edgetpu:$PATH before the command "
    "of edgefer"
)

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True, slots=True)
class OpLine:
    """One line of the compiler's table: operations of one kind that share a status."""

    name: str
    count: int
    status: str

    @property
    def mapped(self) -> bool:
        """Whether they run on the Edge TPU."""
        return self.status == MAPPED


@dataclass(frozen=True, slots=True)
class Report:
    """The compiler's report on a file that it compiled."""

    version: str
    ops: tuple[OpLine, ...]
    on_chip_bytes: int
    """Parameters that stay in the Edge TPU's memory."""
    off_chip_bytes: int
    """Parameters that are streamed from the host at each inference."""
    subgraphs: int

    @property
    def on_tpu(self) -> int:
        """Operations on the Edge TPU."""
        return sum(line.count for line in self.ops if line.mapped)

    @property
    def on_cpu(self) -> int:
        """Operations on the CPU."""
        return sum(line.count for line in self.ops if not line.mapped)

    @property
    def mapped_share(self) -> float:
        """Share of the operations on the Edge TPU, 0..1."""
        return self.on_tpu / max(self.on_tpu + self.on_cpu, 1)

    @property
    def summary(self) -> str:
        """One line."""
        return (
            f"compiled by {PROGRAM} {self.version}: {self.on_tpu} operations on the Edge TPU, "
            f"{self.on_cpu} on the CPU ({self.mapped_share:.0%} mapped); parameters: "
            f"{self.on_chip_bytes:,} bytes on chip, {self.off_chip_bytes:,} off chip"
        )


@dataclass(frozen=True, slots=True)
class Compiled:
    """A file for the Edge TPU and the compiler's report of it."""

    content: bytes
    report: Report


def compile_for_edgetpu(content: bytes, timeout: float = 600) -> Compiled | None:
    """Compile an int8 TFLite file; None where the compiler is not on PATH (`INSTALL_HINT`).

    Raises `ConversionError` when the compiler refuses the file, fails, or takes longer than
    `timeout` seconds.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.tflite").write_bytes(content)
        output = _run(program, Path(folder), timeout)
        out, log = Path(folder) / "model_edgetpu.tflite", Path(folder) / "model_edgetpu.log"
        if not out.is_file():
            raise ConversionError(f"{PROGRAM} wrote no file: {_error_line(output)}")
        table = log.read_text() if log.is_file() else output
        return Compiled(out.read_bytes(), parse_report(output, table))


def _run(program: str, folder: Path, timeout: float) -> str:
    """Run the compiler in a folder and return all that it printed."""
    # Names relative to the folder mean the same in a container that has it mounted.
    command = [program, "--show_operations", "--out_dir", ".", "model.tflite"]
    try:
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        raise ConversionError(
            f"{PROGRAM} did not finish within {timeout:.0f} s and was stopped"
        ) from None
    except OSError as exc:
        raise ConversionError(f"{program} could not be run: {exc.strerror or exc}") from exc
    output = f"{done.stdout}\n{done.stderr}"
    if done.returncode != 0:
        raise ConversionError(f"{PROGRAM} refused the file: {_error_line(output)}")
    return output


def _error_line(output: str) -> str:
    """Return the line with the cause, among those that only report that there was an error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for start in ("ERROR: ", "Compilation failed: ", "Internal compiler error", "Invalid model"):
        found = next((line for line in lines if line.startswith(start)), None)
        if found:
            return found.removeprefix(start) if start.endswith(" ") else found
    return lines[-1] if lines else "it printed nothing"


def parse_report(output: str, table: str | None = None) -> Report:
    """Parse the compiler's output and the table of operations, in the same text or its log.

    Raises `ConversionError` where the table has no operation.
    """
    ops = tuple(_op_lines(output if table is None else table))
    if not ops:
        raise ConversionError(f"{PROGRAM}'s report lists no operation; is it version 16?")
    version = re.search(r"Edge TPU Compiler version (\S+)", output)
    subgraphs = re.search(r"Number of Edge TPU subgraphs: (\d+)", output)
    return Report(
        version=version[1] if version else "unknown",
        ops=ops,
        on_chip_bytes=_bytes("On-chip memory used for caching", output),
        off_chip_bytes=_bytes("Off-chip memory used for streaming uncached", output),
        subgraphs=int(subgraphs[1]) if subgraphs else 0,
    )


def _op_lines(text: str) -> list[OpLine]:
    _, _, rows = text.partition("Operator ")
    found = re.findall(r"^([A-Z][A-Z0-9_]+) +(\d+) +(\S.*?)\s*$", rows, re.MULTILINE)
    return [OpLine(name, int(count), status) for name, count, status in found]


def _bytes(what: str, text: str) -> int:
    found = re.search(rf"{what} model parameters: ([\d.]+)({'|'.join(UNITS)})\b", text)
    return round(float(found[1]) * UNITS[found[2]]) if found else 0


def report_table(report: Report, title: str) -> Table:
    """Return the compiler's report as a table."""
    table = Table("operation", "count", "runs on", "status", title=title)
    for line in report.ops:
        where = styled(("Edge TPU", "green") if line.mapped else ("CPU", "red"))
        table.add_row(line.name, str(line.count), where, "" if line.mapped else line.status)
    return table
