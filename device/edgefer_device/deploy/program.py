"""The program that runs on devices, packed into one file, and how it is spoken to."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from edgefer.errors import CommandFailed
from edgefer.files import to_zip
from edgefer_device.deploy.connection import Remote, Report
from edgefer_device.deploy.spec import HOME

SOURCE = Path(__file__).parent / "agent"
PLACE = f"{HOME}/release.pyz"
RUN = f"/usr/bin/python3 -I {PLACE}"
ENTRY = "import sys\nfrom agent.main import main\nsys.exit(main())\n"


def packed() -> bytes:
    """Return the program as one file (zipapp): the same bytes for the same sources."""
    sources = {f"agent/{source.name}": source.read_bytes() for source in SOURCE.glob("*.py")}
    return to_zip({"__main__.py": ENTRY.encode(), **sources})


def tell(remote: Remote, words: list[str], doing: str, report: Report | None = None) -> str:
    """Run one of the program's verbs on a device; raise `CommandFailed` with its refusal."""
    return remote.run(f"{RUN} {shlex.join(words)}", doing, report)


def installed(remote: Remote) -> bool:
    """Whether the program is there."""
    try:
        remote.run(f"[ -f {PLACE} ]", "looking for edgefer")
    except CommandFailed:
        return False
    return True


def without_json(report: Report) -> Report:
    """Return what tells a person all lines but the last, which is for `outcome`."""
    return lambda line: None if line.startswith("{") else report(line)


def outcome(told: str) -> dict[str, Any]:
    """Return the JSON that a program on a device prints last."""
    table: dict[str, Any] = json.loads(told.strip().splitlines()[-1])
    return table
