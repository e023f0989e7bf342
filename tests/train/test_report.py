"""The report's folder: complete, self-contained, and never in the place of something else."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import msgspec
import pytest
from click.testing import CliRunner, Result
from selenium.webdriver import Chrome

from edgefer.cli import main
from edgefer.errors import SettingsError
from edgefer_train.data import sources
from edgefer_train.data.dataset import Dataset
from edgefer_train.evaluation.evaluate import Evaluation
from edgefer_train.evaluation.report import MARK, RECORD, report_dir
from edgefer_train.evaluation.report_folder import report_folder
from support.browser import tab
from support.runs import write_run
from support.slices import write_slice

CHARTS = {"confusion.png", "calibration.png", "coverage.png", "classes.png"}


def edgefer(*words: object) -> Result:
    return CliRunner(env={"EDGEFER_DATA": ""}).invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def faces(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slice(data, tmp_path_factory.mktemp("slice") / "fer2013.npz", 200, 60, 120)


@pytest.fixture(scope="module")
def dataset(faces: Path) -> Dataset:
    return sources.load(faces)


@pytest.fixture(scope="module")
def report(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reports") / "small"
    assert edgefer("evaluate", "small", "--data", faces, "--out", out).exit_code == 0
    return out


def read(report: Path) -> Evaluation:
    return msgspec.json.decode((report / "report.json").read_bytes(), type=Evaluation)


def test_a_report_names_all_that_lies_in_its_folder(report: Path) -> None:
    lies = {path.name for path in report.iterdir()}
    assert lies == {*CHARTS, "mistakes.png", "report.html", "report.json"}
    assert {*read(report).files, "report.json"} == lies


def test_every_chart_shows_something(report: Path) -> None:
    for path in report.glob("*.png"):
        image = cv2.imread(str(path))
        assert image is not None
        assert image.shape[1] == 1024
        assert image.std() > 5


def test_the_page_needs_nothing_beside_it(report: Path) -> None:
    page = (report / "report.html").read_text()
    sources = re.findall(r'(?:src|srcset|href)="([^"]{0,40})', page)
    assert len(sources) > 10
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<script" not in page
    assert "://" not in page


def test_the_page_says_its_figures_and_what_they_are_of(report: Path) -> None:
    page, done = (report / "report.html").read_text(), read(report)
    assert f"{100 * done.accuracy:.1f} %" in page
    assert f"{100 * done.accuracy_leak_free:.1f} %" in page
    assert "120 PrivateTest images of fer2013" in page
    low, high = done.accuracy_interval
    assert f"{100 * low:.1f} to {100 * high:.1f} % on 120 images" in page
    assert "is not the dataset that small was trained on" in page


def test_the_page_warns_of_what_it_reads_and_of_whom_it_shows(report: Path) -> None:
    page = (report / "report.html").read_text()
    assert "Expressions, not feelings." in page
    assert "This page contains images of people" in page
    assert "do not publish this page" in page


def test_a_report_can_be_written_without_faces(faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert edgefer("evaluate", "small", "--data", faces, "--out", out, "--no-faces").exit_code == 0
    assert not (out / "mistakes.png").exists()
    page = (out / "report.html").read_text()
    assert "images of people" not in page
    assert page.count("<img") == 3, "the charts alone"


def test_the_report_of_a_run_shows_how_it_learned(
    dataset: Dataset, faces: Path, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "linear", dataset)
    before = {path.name for path in run.folder.iterdir()}
    words = ("evaluate", run.folder, "--data", faces, "--format", "float")
    assert edgefer(*words, "--out", tmp_path / "report").exit_code == 0
    assert (tmp_path / "report" / "curves-float.png").is_file()
    assert "How it learned" in (tmp_path / "report" / "report.html").read_text()
    assert {path.name for path in run.folder.iterdir()} == before, "the run stays as it is"


def room(out: Path) -> None:
    """Make a report of one file at `out`."""
    with report_dir(out) as folder:
        assert folder is not None
        (folder / RECORD).write_text(f'{{"{MARK}": 1, "files": ["new.png"]}}')
        (folder / "new.png").touch()


def test_an_older_report_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report"
    room(out)
    room(out)
    assert {path.name for path in out.iterdir()} == {RECORD, "new.png"}
    assert [path.name for path in out.parent.iterdir()] == ["report"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", "mine", "is a folder but no report of this kind; choose another --out"),
        ("report.json", "{}", "is a folder but no report of this kind"),
        ("report.json", '{"edgefer_comparison": 1, "files": []}', "no report of this kind"),
    ],
)
def test_what_is_no_report_is_never_replaced(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SettingsError, match=message):
        room(tmp_path)
    assert (tmp_path / name).read_text() == content


def test_a_strangers_file_within_a_report_is_kept(tmp_path: Path) -> None:
    room(tmp_path / "report")
    (tmp_path / "report" / "notes.txt").write_text("mine")
    with pytest.raises(SettingsError, match=r"holds notes\.txt, which is no part of the report"):
        room(tmp_path / "report")
    assert (tmp_path / "report" / "notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_one_line_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("mine")
    at_file = edgefer("evaluate", "small", "--data", "none", "--out", tmp_path / "file")
    assert at_file.stderr.endswith("file: is a file; --out takes a folder\n")
    below = edgefer("evaluate", "small", "--data", "none", "--out", tmp_path / "file" / "report")
    assert below.stderr == at_file.stderr
    assert at_file.exit_code == below.exit_code == 1
    assert below.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_where_the_system_lets_nothing_be_written_it_says_why(tmp_path: Path) -> None:
    out = tmp_path / ("x" * 300)
    with pytest.raises(SettingsError, match="could not be written: File name too long"):
        room(out)


def test_nothing_is_left_of_a_report_that_fails(tmp_path: Path) -> None:
    room(tmp_path / "report")
    with pytest.raises(ZeroDivisionError), report_folder(tmp_path / "report", RECORD, MARK) as half:
        assert half is not None
        (half / "half.png").touch()
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert (tmp_path / "report" / "new.png").exists(), "the older one stays"


def test_the_page_fits_a_phone_and_turns_dark_with_it(report: Path, chromium_once: Chrome) -> None:
    page, grounds = chromium_once, []
    with tab(page, 360, 780):
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            page.get(f"file://{report / 'report.html'}")
            assert page.execute_script("return document.documentElement.scrollWidth") == 360
            drawn = "return [...document.images].every(i => i.complete && i.naturalWidth)"
            assert page.execute_script(drawn)
            grounds.append(page.execute_script(GROUND))
    assert grounds == [["rgb(255, 255, 255)", False], ["rgb(23, 26, 32)", True]]


GROUND = """
const chart = document.querySelector("picture img");
const dark = document.querySelector("picture source").srcset;
return [getComputedStyle(document.body).backgroundColor, chart.currentSrc === dark];
"""
