"""A fake of Coral's compiler, and outputs of the real one.

The texts have the forms of version 16.0.384591198, after reports in the issues of
google-coral/edgetpu (512, 601, 631) and coral.ai/docs/edgetpu/compiler.
"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

SUMMARY = """\
Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 141 ms.

Input model: model.tflite
Input size: 350.00KiB
Output model: ./model_edgetpu.tflite
Output size: 427.48KiB
On-chip memory used for caching model parameters: 341.50KiB
On-chip memory remaining for caching model parameters: 7.41MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 14
Operation log: ./model_edgetpu.log
"""
PARTLY = """
Model successfully compiled but not all operations are supported by the Edge TPU. A percentage \
of the model will instead run on the CPU, which is slower. If possible, consider updating your \
model to use only operations supported by the Edge TPU. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 11
Number of operations that will run on CPU: 3
"""
WHOLE_TABLE = """
Operator                       Count      Status

CONV_2D                        9          Mapped to Edge TPU
ADD                            3          Mapped to Edge TPU
MEAN                           1          Mapped to Edge TPU
FULLY_CONNECTED                1          Mapped to Edge TPU
"""
PARTIAL_TABLE = """
Operator                       Count      Status

CONV_2D                        8          Mapped to Edge TPU
CONV_2D                        1          More than one subgraph is not supported
ADD                            3          Mapped to Edge TPU
QUANTIZE                       1          Operation is otherwise supported, but not mapped due \
to some unspecified limitation
DEQUANTIZE                     1          Operation is working on an unsupported data type
"""
DONE = "Compilation child process completed within timeout period.\nCompilation succeeded! \n"

COMPILER = """\
#!/bin/sh
# Behaves as edgetpu_compiler 16 does, but for the compiling.
test "$1 $2 $3 $4" = "--show_operations --out_dir . model.tflite" || exit 2
{
    echo "Edge TPU Compiler version 16.0.384591198"
    echo "Input: model.tflite"
    echo "Output: model_edgetpu.tflite"
    cat "$TABLE"
} > model_edgetpu.log
{ cat model.tflite; echo compiled; } > model_edgetpu.tflite
cat "$SUMMARY" "$TABLE"
"""
REFUSES = """\
#!/bin/sh
echo "Edge TPU Compiler version 16.0.384591198"
echo "ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'. An older version of this \
builtin might be supported. Are you using an old TFLite binary with a newer model?" >&2
echo "ERROR: Registration failed." >&2
echo "Invalid model: model.tflite"
echo "Model could not be parsed"
exit 1
"""


def install(folder: Path, script: str, name: str = "edgetpu_compiler") -> None:
    """Write a program into a folder of PATH."""
    path = folder / name
    path.write_text(script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def install_compiler(
    folder: Path, monkeypatch: pytest.MonkeyPatch, table: str = WHOLE_TABLE, summary: str = SUMMARY
) -> None:
    """Install a fake of the compiler that reports a table of operations."""
    for name, text in (("SUMMARY", summary), ("TABLE", table)):
        (folder / name).write_text(text)
        monkeypatch.setenv(name, str(folder / name))
    install(folder, COMPILER)
