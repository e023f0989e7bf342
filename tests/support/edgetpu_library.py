"""A fake of the Edge TPU's library, and a bundle with a file for it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from edgefer.bundle import describe, open_bundle, write_bundle

SOURCE = Path(__file__).with_suffix(".c")
NAME = "libedgetpu.so.1"


def build_library(folder: Path) -> Path:
    """Compile it; skip where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("cc is not installed: apt-get install gcc libc6-dev")
    library = folder / NAME
    words = [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{NAME}"]
    subprocess.run([*words, str(SOURCE), "-o", str(library)], check=True)
    return library


def write_edgetpu_bundle(out: Path) -> Path:
    """Write `small` with a copy of its int8 file in the place of a compiled one."""
    small = open_bundle("small")
    content = small.contents["int8"]
    files = {**small.manifest.files, "edgetpu": describe("model.edgetpu.tflite", content, "chip")}
    manifest = msgspec.structs.replace(small.manifest, files=files)
    write_bundle(out, manifest, {**small.contents, "edgetpu": content})
    return out
