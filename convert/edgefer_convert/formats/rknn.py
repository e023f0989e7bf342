"""Rockchip's NPU: a float ONNX file compiled by rknn-toolkit2, in an environment of its own.

The toolkit pins older versions of NumPy, ONNX and protobuf than edgefer runs on. It quantizes
by representative faces: on the simulator that agreed with float more often than the scales of
quantization-aware training did (docs/hardware.md).
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefer.errors import ConversionError, RuntimeMissing
from edgefer.manifest import Compiled
from edgefer_convert.formats.representative import FloatImages

WORKER = Path(__file__).with_name("rknn_worker.py")
SECONDS = 3600
"""After which the toolkit is stopped; the simulator takes a tenth of a second a face."""
PYTHON = "EDGEFER_RKNN_PYTHON"
"""The environment variable with the toolkit's Python."""
INSTALL = (
    "it pins other versions than edgefer: python3 -m venv rknn && "
    f"rknn/bin/pip install rknn-toolkit2, then {PYTHON}=rknn/bin/python before the command"
)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces for the toolkit, both float32 (N, side, side, 1) in 0..1."""

    representative: FloatImages
    """To quantize by."""
    test: FloatImages
    """To classify in the simulator."""


def compile_for_rknn(
    content: bytes, platform: str, faces: Faces, python: Path | None
) -> tuple[bytes, Compiled, np.ndarray]:
    """Compile a float ONNX file; return the .rknn file, the report and the simulator's logits.

    The logits are those of the first output, float32 (N, labels). Raises `RuntimeMissing` without
    the toolkit, `ConversionError` where it refuses the file.
    """
    if python is None:
        raise RuntimeMissing(f"rknn-toolkit2 was not found: {INSTALL}", "rknn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.onnx").write_bytes(content)
        np.save(folder / "representative.npy", faces.representative)
        np.save(folder / "faces.npy", faces.test)
        output = _run([str(python), str(WORKER), str(folder), platform], folder)
        made = folder / "model.rknn"
        if not made.is_file():
            raise RuntimeMissing(f"{python} wrote no file, so it is no Python; {INSTALL}", "rknn")
        version = re.search(r"rknn-toolkit2 version: (\S+)", output)
        report = Compiled(f"rknn-toolkit2 {version[1] if version else 'unknown'}", platform)
        return made.read_bytes(), report, np.load(folder / "logits.npy")


def _run(command: list[str], folder: Path) -> str:
    """Run the toolkit and return what it printed."""
    # Isolated: neither edgefer's packages nor what lies beside the script are for that Python.
    python, *rest = command
    command = [python, "-I", *rest]
    try:
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ConversionError(f"rknn-toolkit2 did not finish within {SECONDS} s") from None
    except OSError as exc:
        raise RuntimeMissing(
            f"{python} could not be run: {exc.strerror or exc}; {INSTALL}", "rknn"
        ) from exc
    output = ESCAPES.sub("", f"{done.stdout}\n{done.stderr}")
    if "No module named" in output:
        raise RuntimeMissing(f"{python} has no rknn-toolkit2; {INSTALL}", "rknn")
    if done.returncode != 0:
        raise ConversionError(f"rknn-toolkit2 refused the model: {_cause(output)}")
    return output


def _cause(output: str) -> str:
    """Return the line with the cause: the first error that the toolkit names, or the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(E |\w*Error: )", line)]
    return (errors or lines or ["it printed nothing"])[0 if errors else -1].removeprefix("E ")
