"""The program that runs on devices, packed into one file, and how it is spoken to."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from pathlib import Path
from typing import Any

from edgefer.errors import CommandFailed
from edgefer_device.deploy.connection import Remote, Say
from edgefer_device.deploy.order import HOME

SOURCE = Path(__file__).parent / "ontarget"
PLACE = f"{HOME}/release.pyz"
RUN = f"/usr/bin/python3 -I {PLACE}"
ENTRY = "import sys\nfrom ontarget.main import main\nsys.exit(main())\n"


def packed() -> bytes:
    """Return the program as one file (zipapp): the same bytes for the same sources."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), ENTRY)
        for source in sorted(SOURCE.glob("*.py")):
            entry = zipfile.ZipInfo(f"ontarget/{source.name}")
            archive.writestr(entry, source.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def tell(remote: Remote, words: list[str], doing: str, say: Say | None = None) -> str:
    """Run one of the program's verbs on a device; raise `CommandFailed` with its refusal."""
    return remote.run(f"{RUN} {shlex.join(words)}", doing, say)


def installed(remote: Remote) -> bool:
    """Whether the program is there."""
    try:
        remote.run(f"[ -f {PLACE} ]", "looking for edgefer")
    except CommandFailed:
        return False
    return True


def outcome(told: str) -> dict[str, Any]:
    """Return what `wait` prints last."""
    table: dict[str, Any] = json.loads(told.strip().splitlines()[-1])
    return table
