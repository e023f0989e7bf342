"""One arithmetic: what the device's Python says, the page's JavaScript says too."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgefer_device.export.web import PAGE
from edgefer_device.page import SHARED, page_files
from support import page_vectors

NODE = shutil.which("node")
TESTS = Path(__file__).parent

needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def test_the_vectors_are_what_the_python_code_says() -> None:
    kept = msgspec.json.decode(page_vectors.FILE.read_bytes())
    now = msgspec.json.decode(msgspec.json.encode(page_vectors.vectors()))
    assert kept.keys() == now.keys()
    for kind in now:
        assert_same(kept[kind], now[kind], kind)


def assert_same(kept: Any, now: Any, where: str) -> None:
    """Compare as deep as it goes; reals may differ by their last digits from machine to machine."""
    if isinstance(now, float):
        assert kept == pytest.approx(now, rel=1e-5, abs=1e-7), where
    elif isinstance(now, dict):
        assert kept.keys() == now.keys(), where
        for key, value in now.items():
            assert_same(kept[key], value, f"{where}.{key}")
    elif isinstance(now, list):
        assert len(kept) == len(now), where
        for at, value in enumerate(now):
            assert_same(kept[at], value, f"{where}[{at}]")
    else:
        assert kept == now, f"{where}: run tools/write_page_vectors.py where that is meant"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's modules side by side, as they are served."""
    folder = tmp_path_factory.mktemp("page")
    for name, path in page_files(SHARED, PAGE).items():
        (folder / name).write_bytes(path.read_bytes())
    (folder / "package.json").write_text('{"type": "module"}')  # for node alone
    return folder


@needs_node
@pytest.mark.parametrize("script", sorted(TESTS.glob("*.test.js")), ids=lambda path: path.name)
def test_the_page_says_the_same(script: Path, page: Path) -> None:
    told = page / script.name
    for path in (*TESTS.glob("*.js"), TESTS / "vectors.json"):
        (page / path.name).write_bytes(path.read_bytes())
    done = subprocess.run(
        [str(NODE), "--test", "--test-reporter=tap", str(told)],
        cwd=page,
        env={**os.environ, "EDGEFER_PAGE": str(page)},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = next(line for line in done.stdout.splitlines() if line.startswith("# pass"))
    assert int(passed.split()[-1]) > 3
