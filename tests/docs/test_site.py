"""The documents build as a site without a dead link, and it asks no other origin for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUEST = re.compile(r"""<(?:script|link|img)[^>]+(?:src|href)=["'](https?:)?//""")
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    ROOT / "firmware-config" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
FOLDERS = ("edge", "train", "convert", "device", "firmware-config", "tests", "tools", "docs")
LEAST = {"architecture.md": 10, "security.md": 1, "privacy.md": 1, "daemon.md": 1}
"""How many files a document names at least."""
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.py)`")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_it_has_a_page_for_each_document(site: Path) -> None:
    documents = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in site.glob("*.html")} >= documents


def test_it_has_a_search(site: Path) -> None:
    assert (site / "search" / "search_index.json").stat().st_size > 10_000


def test_it_requests_nothing_from_another_origin(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not REQUEST.search(page.read_text("utf-8")), page


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_a_document_names_exist(document: Path) -> None:
    named = NAMED.findall(document.read_text("utf-8"))
    assert len(named) >= LEAST.get(document.name, 0)
    whole = [name for name in named if name.partition("/")[0] in FOLDERS]
    assert [name for name in whole if not (ROOT / name).exists()] == []
    there = [f"/{path}" for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    python = [name for name in named if name.endswith(".py")]
    assert [name for name in python if not any(one.endswith(f"/{name}") for one in there)] == []
