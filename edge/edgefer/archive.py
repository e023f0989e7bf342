"""Zip archives of which equal contents have equal bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping


def to_zip(files: Mapping[str, bytes]) -> bytes:
    """Return a .zip of files by name: sorted, deflated, dated 1980-01-01."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    return content.getvalue()


def from_zip(content: bytes) -> dict[str, bytes]:
    """Return the files of a .zip by name; raise `zipfile.BadZipFile` for anything else."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
