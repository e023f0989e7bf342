"""Wheels of edgefer that are broken on purpose."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path


def altered(wheel: Path, folder: Path, file: str, old: str, new: str) -> Path:
    """Copy a wheel with one text in one of its files replaced; pip takes it for a good one."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / wheel.name
    with (
        zipfile.ZipFile(wheel) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        text = source.read(file).decode()
        assert old in text
        content = text.replace(old, new).encode()
        for name in source.namelist():
            held = content if name == file else source.read(name)
            if name.endswith(".dist-info/RECORD"):
                held = _recorded(held.decode(), file, content).encode()
            target.writestr(name, held)
    return out


def _recorded(record: str, file: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    line = f"{file},sha256={digest},{len(content)}"
    lines = record.splitlines(keepends=True)
    return "".join(f"{line}\n" if one.startswith(f"{file},") else one for one in lines)
