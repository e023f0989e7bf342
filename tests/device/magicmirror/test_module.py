"""MMM-Edgefer: its folder, its translations, and what node says of its parts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgefer import __version__
from edgefer_device.commands.export import export
from edgefer_device.export.magicmirror import SOURCE, module_files

NODE = shutil.which("node")
DOCUMENT = Path(__file__).parents[3] / "docs" / "magicmirror.md"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "MMM-Edgefer"
    done = CliRunner().invoke(export, ["magicmirror", "--out", str(out)])
    assert done.exit_code == 0, done.output
    again = CliRunner().invoke(export, ["magicmirror", "--out", str(out)])
    assert again.output == done.output
    return out


def test_the_folder_has_what_npm_and_magicmirror_look_for(module: Path) -> None:
    package = json.loads((module / "package.json").read_text())
    assert (package["name"], package["version"]) == ("mmm-edgefer", __version__)
    assert (module / package["main"]).name == "MMM-Edgefer.js"
    assert (module / "node_helper.js").is_file()
    imports = {
        name
        for part in module.glob("parts/*.js")
        for name in re.findall(r'from "\./(\w+\.js)"', part.read_text())
    }
    assert imports <= {part.name for part in module.glob("parts/*.js")}


@pytest.mark.parametrize("language", ["de", "es", "zh"])
def test_a_translation_has_every_text_and_its_gaps(language: str) -> None:
    def texts(code: str) -> dict[str, str]:
        return dict(json.loads((SOURCE / f"translations/{code}.json").read_text()))

    def gaps(table: dict[str, str]) -> dict[str, list[str]]:
        return {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in table.items()}

    assert gaps(texts(language)) == gaps(texts("en"))


def test_every_setting_stands_in_its_readme(module: Path) -> None:
    text = (module / "settings.js").read_text()
    block = text[text.index("DEFAULTS = {") : text.index("};")]
    settings = re.findall(r"^    (\w+):", block, re.MULTILINE)
    assert len(settings) == 12
    readme = (module / "README.md").read_text()
    assert [name for name in settings if f"| `{name}` |" not in readme] == []


@pytest.mark.parametrize("document", [SOURCE / "README.md", DOCUMENT], ids=lambda path: path.name)
def test_what_its_screen_says_is_documented(document: Path) -> None:
    texts = json.loads((SOURCE / "translations/en.json").read_text())
    _, _, table = document.read_text("utf-8").partition("| words | ")
    rows = re.findall(r"^\| ([a-z].+?) \| .+ \|$", table, re.MULTILINE)
    said = [[name for name, text in texts.items() if words_in(row, text)] for row in rows]
    assert all(said), rows
    wrong = ("CONFIG", "SILENT", "OFFLINE", *(name for name in texts if "TROUBLE_" in name))
    assert set(wrong) - {"TROUBLE_TROUBLE"} <= {name for row in said for name in row}


def words_in(row: str, text: str) -> bool:
    """Whether the last part of a row is in a text of the screen."""
    return row.rpartition(": ")[2] in text[:1].lower() + text[1:]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_settings_views_and_connections(module: Path) -> None:
    assert NODE is not None
    words = [NODE, "--test", str(Path(__file__).with_name("module.test.js"))]
    done = subprocess.run(
        words,
        env={**os.environ, "MODULE": str(module)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0" not in done.stdout


def test_nothing_of_a_user_is_exported() -> None:
    assert not [name for name in module_files() if "node_modules" in name or name.endswith(".tgz")]
