"""Who may import whom, as docs/architecture.md draws it: `python tools/structure.py` counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from structure import Structure


@pytest.fixture(scope="module")
def ours() -> Structure:
    return Structure()


def test_a_package_imports_only_the_packages_that_it_builds_on(ours: Structure) -> None:
    assert [str(arrow) for arrow in ours.foreign()] == []


def test_a_room_of_the_device_imports_only_the_floors_below_it(ours: Structure) -> None:
    assert [str(arrow) for arrow in ours.upward()] == []


def test_no_modules_import_each_other_in_a_circle(ours: Structure) -> None:
    assert ours.circles() == []


def test_no_folders_import_each_other_but_one_inside_the_other(ours: Structure) -> None:
    assert [pair for pair in ours.mutual() if not pair[1].startswith(f"{pair[0]}.")] == []


def test_no_file_repeats_the_name_of_its_folder_or_lacks_a_noun(ours: Structure) -> None:
    assert ours.misnamed() == []


def written(root: Path, files: dict[str, str]) -> Structure:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Structure(root)


@pytest.mark.parametrize(
    "text",
    [
        "from edgefer_device.daemon import status",
        "import edgefer_device.daemon.status",
        "from edgefer_device.daemon.status import Status",
        "from ..daemon import status",
        "from ..daemon.status import Status",
        "def late():\n    from edgefer_device.daemon import status",
        "if TYPE_CHECKING:\n    from edgefer_device.daemon.status import Status",
        "importlib.import_module('edgefer_device.daemon.status')",
    ],
)
def test_an_import_counts_however_it_is_written(tmp_path: Path, text: str) -> None:
    device = {"sinks/console.py": text, "daemon/status.py": "Status = int"}
    made = written(tmp_path, {f"device/edgefer_device/{name}": t for name, t in device.items()})
    expected = "edgefer_device.sinks.console -> edgefer_device.daemon.status"
    assert [str(arrow) for arrow in made.upward()] == [expected]


def test_neighbours_on_a_floor_do_not_import_each_other(tmp_path: Path) -> None:
    text = "from edgefer_device.doctor import check"
    device = {
        "device/edgefer_device/bench/view.py": text,
        "device/edgefer_device/doctor/check.py": "",
    }
    assert len(written(tmp_path, device).upward()) == 1


def test_a_circle_of_three_is_found_once(tmp_path: Path) -> None:
    chain = {"a": "b", "b": "c", "c": "a", "d": "a"}
    made = written(
        tmp_path,
        {f"edge/edgefer/{a}.py": f"import edgefer.{b}" for a, b in chain.items()},
    )
    assert made.circles() == [["edgefer.a", "edgefer.b", "edgefer.c"]]


def test_a_room_that_is_on_no_floor_is_refused(tmp_path: Path) -> None:
    device = {"attic/box.py": "import edgefer_device.web.token", "web/token.py": ""}
    made = written(tmp_path, {f"device/edgefer_device/{name}": t for name, t in device.items()})
    with pytest.raises(ValueError, match="attic is on no floor"):
        made.upward()
