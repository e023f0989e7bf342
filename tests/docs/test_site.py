"""The documents build as a site without a dead link, and it asks no other origin for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUEST = re.compile(r"""<(?:script|link|img)[^>]+(?:src|href)=["'](https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def read(document: str) -> str:
    return (ROOT / "docs" / document).read_text("utf-8")


def test_it_has_a_page_for_each_document(site: Path) -> None:
    documents = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in site.glob("*.html")} >= documents


def test_it_has_a_search(site: Path) -> None:
    assert (site / "search" / "search_index.json").stat().st_size > 10_000


def test_it_requests_nothing_from_another_origin(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not REQUEST.search(page.read_text("utf-8")), page


@pytest.mark.parametrize("document", ["security.md", "privacy.md", "daemon.md"])
def test_the_tests_that_a_document_names_exist(document: str) -> None:
    named = re.findall(r"`(?:tests/[a-z_/]+/)?(test_[a-z0-9_]+\.py)`", read(document))
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert named
    assert set(named) - there == set()


def test_the_files_that_the_architecture_names_exist() -> None:
    text = read("architecture.md")
    table = text[text.index("## Where do I find") : text.index("## Adding something")]
    named = re.findall(
        r"`((?:edge|train|convert|device|firmware-config|tests|tools)/[^`]+)`", table
    )
    assert len(named) >= 10
    assert [name for name in named if not (ROOT / name).exists()] == []
