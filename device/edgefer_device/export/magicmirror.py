"""The MagicMirror module, MMM-Edgefer, as a folder that npm and MagicMirror take as it is."""

from __future__ import annotations

import json
from pathlib import Path

from edgefer import __version__
from edgefer_device.page import SHARED, page_files
from edgefer_device.sinks.mirror.settings import languages, load_texts

HOME = Path(__file__).parents[1]
SOURCE = next(
    folder for folder in (HOME / "magicmirror", HOME.parent / "magicmirror") if folder.is_dir()
)
"""In a wheel it lies in the package, in a checkout beside it."""
PARTS = ("halo.js", "moods.js", "ribbon.js", "texts.js")
"""Of the mirror's own page, which the module draws with."""


def module_files() -> dict[str, bytes]:
    """Return the module's files by their paths in its folder."""
    files = {
        path.relative_to(SOURCE).as_posix(): path.read_bytes()
        for path in sorted(SOURCE.rglob("*"))
        if path.is_file() and "node_modules" not in path.parts
    }
    package = json.loads(files["package.json"]) | {"version": __version__}
    files["package.json"] = json.dumps(package, indent=2).encode() + b"\n"
    shared = page_files(SHARED)
    files |= {f"parts/{name}": shared[name].read_bytes() for name in PARTS}
    for code in languages():
        files[f"parts/texts.{code}.json"] = json.dumps(
            load_texts(code), ensure_ascii=False, indent=1
        ).encode()
    return files
