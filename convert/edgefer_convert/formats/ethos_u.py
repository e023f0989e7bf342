"""Arm Ethos-U: an int8 TFLite file compiled by Vela, Arm's own compiler (extra `ethos-u`).

The report is that of version 5: a line of operations in its output, and a .csv of memory and
cycles (gitlab.arm.com/artificial-intelligence/ethos-u/ethos-u-vela, OPTIONS.md, PERFORMANCE.md).
"""

from __future__ import annotations

import csv
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgefer.errors import ConversionError, MissingExtra
from edgefer.manifest import Compiled
from edgefer_convert.formats.space_to_depth import without_space_to_depth

MODULE = "ethosu.vela"
SECONDS = 600
"""After which the compiler is stopped."""
OPERATIONS = re.compile(r"^(CPU|NPU) operators = (\d+)", re.MULTILINE)


def compile_for_ethos_u(content: bytes, accelerator: str) -> tuple[bytes, Compiled]:
    """Compile an int8 TFLite file for one of `accelerators.ETHOS_U`, with Vela's default memories.

    Raises `MissingExtra` without Vela, `ConversionError` where it refuses the file.
    """
    if importlib.util.find_spec("ethosu") is None:
        raise MissingExtra("ethos-u-vela", "ethos-u")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(without_space_to_depth(content))
        output = _run(folder, accelerator)
        compiled, reports = folder / "model_vela.tflite", list(folder.glob("*_summary_*.csv"))
        if not compiled.is_file() or len(reports) != 1:
            raise ConversionError(f"Vela wrote no file and report for {accelerator}")
        return compiled.read_bytes(), parse_report(output, reports[0].read_text(), accelerator)


def _run(folder: Path, accelerator: str) -> str:
    """Run Vela in a folder and return what it printed."""
    command = [sys.executable, "-m", MODULE, "model.tflite", "--output-dir", "."]
    try:
        done = subprocess.run(
            [*command, "--accelerator-config", accelerator],
            cwd=folder, check=False, capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ConversionError(f"Vela did not finish within {SECONDS} s and was stopped") from None
    if done.returncode != 0:
        lines = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        cause = lines[-1].strip() if lines else "it printed nothing"
        raise ConversionError(f"Vela refused the file: {cause}")
    return done.stdout


def parse_report(output: str, table: str, accelerator: str) -> Compiled:
    """Return Vela's report from what it printed and its .csv; raise `ConversionError`."""
    counts = {kind: int(count) for kind, count in OPERATIONS.findall(output)}
    row: Mapping[str, str] = next(csv.DictReader(table.splitlines()), {})
    try:
        return Compiled(
            compiler=f"Vela {_version()}",
            accelerator=accelerator,
            operations=counts["CPU"] + counts["NPU"],
            mapped=counts["NPU"],
            sram_bytes=round(1024 * float(row["sram_memory_used"])),
            estimated_ms=1000 * float(row["inference_time"]),
        )
    except (KeyError, ValueError) as exc:
        raise ConversionError(f"Vela's report cannot be read ({exc}); expected version 5") from exc


def _version() -> str:
    from importlib.metadata import version

    return version("ethos-u-vela")
