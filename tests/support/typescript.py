"""TypeScript's compiler, which checks the types in the pages' JSDoc; only tests want it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgefer_device.export.npm import Package
from support.npm import unpacked

TYPESCRIPT = Package(
    "typescript",
    "5.9.3",
    "sha512-jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw==",
)
"""The last that is plain JavaScript and needs no other package."""


def checked(config: Path) -> str:
    """Return what tsc says of a tsconfig's files, nothing where their types are sound.

    Skips without node, or where no registry can be reached.
    """
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    words = [node, str(unpacked(TYPESCRIPT) / "lib" / "_tsc.js"), "--project", str(config)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=300)
    return done.stdout + done.stderr
