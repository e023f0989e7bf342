"""The pages' JavaScript: its types are sound, and tsc would say so if they were not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer_device.export.web import PAGE as PHONE
from edgefer_device.page import SHARED, page_files
from edgefer_device.sinks.mirror.sink import PAGE as MIRROR
from support.typescript import checked

CONFIGS = Path(__file__).parent
SCRIPTS = sorted(path for folder in (SHARED, MIRROR, PHONE) for path in folder.glob("*.js"))


@pytest.mark.parametrize("part", ["mirror", "phone", "workers"])
def test_the_types_are_sound(part: str) -> None:
    assert checked(CONFIGS / f"tsconfig.{part}.json") == ""


def test_an_unsound_type_is_found(tmp_path: Path) -> None:
    (tmp_path / "wrong.js").write_text(
        "// @ts-check\n/** @param {number} side */\nexport function half(side) {\n"
        '  return side.length / 2;\n}\nhalf("much");\n'
    )
    config = tmp_path / "tsconfig.json"
    config.write_text(f'{{"extends": "{CONFIGS}/tsconfig.json", "include": ["*.js"]}}')
    said = checked(config)
    assert "wrong.js(4,15): error TS2339" in said
    assert "wrong.js(6,6): error TS2345" in said


@pytest.mark.parametrize(
    "script", SCRIPTS, ids=lambda path: f"{path.parent.parent.name}-{path.name}"
)
def test_a_script_is_type_checked_and_names_no_other_host(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("// @ts-check\n")
    assert "http" not in text.replace('"https:"', "")


@pytest.mark.parametrize("page", [MIRROR, PHONE], ids=["mirror", "phone"])
def test_no_file_of_a_page_hides_a_shared_one(page: Path) -> None:
    assert not page_files(SHARED).keys() & page_files(page).keys()
