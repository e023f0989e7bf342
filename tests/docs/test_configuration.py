"""docs/configuration.md names every key, with its default and what its docstring says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgefer_device.sinks.opening import FORMS

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "configuration_reference.py"


def test_the_document_is_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], check=False)
    assert done.returncode == 0, "out of date; run: python tools/configuration_reference.py"


def test_every_key_is_described() -> None:
    lines = (ROOT / "docs" / "configuration.md").read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) > 60
    assert [row for row in rows if row.endswith("|  |")] == []


def test_every_kind_of_sink_is_documented_as_it_is_written() -> None:
    text = (ROOT / "docs" / "daemon.md").read_text("utf-8")
    assert [form for form in FORMS.values() if f"| `{form}` |" not in text] == []
