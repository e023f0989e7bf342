from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer_train.data.check import Pair, read_and_check
from support.slices import write_slice

CLASSES = ("happy", "sad")


def edgefer(*words: object) -> Result:
    return CliRunner(env={"EDGEFER_DATA": ""}).invoke(main, [str(word) for word in words])


def random_images(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    rough = random.integers(0, 200, (count, 6, 6), np.uint8)
    return [np.asarray(cv2.resize(one, (48, 48)), np.uint8) for one in rough]


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """Twenty different images in parts and classes, and one of each fault."""
    root, images = tmp_path / "faulty", random_images(20)
    for at, image in enumerate(images):
        part = ("train", "train", "train", "val", "test")[at % 5]
        write(root / part / CLASSES[at // 5 % 2] / f"{at}.png", image)
    write(root / "train" / "happy" / "again.png", images[0])
    write(root / "train" / "sad" / "conflict.png", images[1])
    write(root / "train" / "sad" / "black.png", np.zeros((48, 48), np.uint8))
    write(root / "test" / "happy" / "copy.png", images[2])
    write(root / "val" / "sad" / "brighter.png", images[5] + 20)
    return root


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def names(pairs: tuple[Pair, ...] | None) -> list[tuple[str, str]]:
    return [(pair.image.where, pair.other.where) for pair in pairs or ()]


def test_each_fault_is_found_and_its_files_are_named(faulty: Path) -> None:
    _, check = read_and_check(faulty)
    training, public, private = check.parts.values()
    assert (check.label_set, check.split, check.images) == ("folders", "official", 25)
    assert training.labels == {"happy": 7, "sad": 8}
    assert training.imbalance == pytest.approx(8 / 7, abs=0.01)
    assert [place.where for place in training.constant] == ["train/sad/black.png"]
    assert ("train/happy/again.png", "train/happy/0.png") in names(training.repeated)
    assert (training.copies, training.near_copies, training.no_face) == (None, None, None)
    assert names(private.copies) == [("test/happy/copy.png", "train/happy/2.png")]
    assert names(public.near_copies) == [("val/sad/brighter.png", "train/sad/5.png")]
    assert [[place.where for place in group] for group in check.conflicts] == [
        ["train/happy/1.png", "train/sad/conflict.png"]
    ]


def test_files_skipped_by_ending_are_counted(faulty: Path, tmp_path: Path) -> None:
    (faulty / "train" / "sad" / "x.gif").write_bytes(b"GIF89a")
    done = edgefer("data", "check", faulty, "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert "1 file skipped by ending (1 .gif); read are .png, .jpg" in done.stdout
    assert json.loads((tmp_path / "out" / "check.json").read_bytes())["skipped"] == {".gif": 1}


def test_a_check_goes_on_after_damaged_files_and_then_fails(faulty: Path, tmp_path: Path) -> None:
    for name in ("x.png", "y.png"):
        (faulty / "train" / "sad" / name).write_text("no image")
    done = edgefer("data", "check", faulty, "--out", tmp_path / "out")
    assert done.exit_code == 1
    for name in ("x.png", "y.png"):
        assert f"cannot be read  {faulty}/train/sad/{name}: not an image" in done.stdout
    assert done.stderr.endswith(
        f"edgefer: {faulty}: 2 files cannot be read; fix or remove what is listed above\n"
    )
    assert len(json.loads((tmp_path / "out" / "check.json").read_bytes())["unreadable"]) == 2


def test_findings_alone_are_no_failure(faulty: Path) -> None:
    done = edgefer("data", "check", faulty)
    assert done.exit_code == 0
    assert "Groups of identical images with different labels: 1." in done.stdout
    assert "Copies in Training: 1 of PrivateTest's 5 images" in done.stdout
    assert "FER+" not in done.stdout, "there are no votes to speak of"


def test_the_report_is_a_file_for_programs_and_an_image(faulty: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    done = edgefer("data", "check", faulty, "--out", out, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json.loads((out / "check.json").read_bytes())
    image = cv2.imread(str(out / "check.png"), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    assert image.shape[1] == 1600
    assert image.std() > 20, "something is drawn"
    assert sorted(path.name for path in out.iterdir()) == ["check.json", "check.png"]


def test_names_that_a_font_or_a_formula_would_stumble_over_are_drawn(tmp_path: Path) -> None:
    root = tmp_path / "a $x_$"
    for at, image in enumerate(random_images(6)):
        for name in ("$happy$", "目"):
            write(root / name / f"$a_{at}$.png", image + len(name))
    shutil.copy(root / "$happy$" / "$a_1$.png", root / "目" / "$b_$.png")
    done = edgefer("data", "check", root, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output


def test_out_that_is_a_file_is_one_line(faulty: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    done = edgefer("data", "check", faulty, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert (
        done.stderr.strip() == f"edgefer: {tmp_path}/out: cannot write the check there: File exists"
    )
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "no dataset was named: get FER2013 from Kaggle"),
        (("nowhere",), "nowhere: no faces here"),
        (("one",), "one: holds one class, 'happy'; expected a folder for each of two or more"),
        (("empty",), "empty/sad: holds no images (.png"),
        (("good", "--labels", "ferplus"), "good/angry: no such folder"),
        (("good", "--split", "90/10"), "unknown split '90/10'; known: official, 72/8/20"),
        (("good", "--split", "official"), "good: has no parts of its own"),
    ],
)
def test_data_that_cannot_be_used_is_one_line(
    words: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for root, classes in (("one", CLASSES[:1]), ("empty", CLASSES[:1]), ("good", CLASSES)):
        for name in classes:
            for at, image in enumerate(random_images(3)):
                write(Path(root, name, f"{at}.png"), image)
    Path("empty", "sad").mkdir()
    done = edgefer("data", "check", *words)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.strip().startswith(f"edgefer: {line}")
    assert done.stderr.strip().count("\n") == 0


def test_votes_are_checked_under_either_label_set(data: Path, tmp_path: Path) -> None:
    faces = write_slice(data, tmp_path / "slice.npz", 300, 80, 80)
    _, stored = read_and_check(faces)
    _, view = read_and_check(faces, "ferplus")
    for name in stored.parts:
        rows = [[place.row for place in one.parts[name].no_face or ()] for one in (view, stored)]
        assert rows[0] == rows[1]
        assert view.parts[name].left_out == stored.parts[name].images - view.parts[name].images
    assert sum(len(part.no_face or ()) for part in stored.parts.values()) == 5
    assert view.fingerprint == stored.fingerprint


def test_the_known_faults_of_the_real_fer2013_are_found(data: Path) -> None:
    _, check = read_and_check(data)
    training, public, private = check.parts.values()
    assert (len(private.copies or ()), len(public.copies or ())) == (288, 280)
    assert (private.leaks, public.leaks) == (336, 314)
    assert len(check.conflicts) == 57
    found = [
        (part.constant, part.no_face or (), part.without_votes or ())
        for part in check.parts.values()
    ]
    assert [sum(map(len, places)) for places in zip(*found, strict=True)] == [13, 176, 4]
    ratios = [round(part.imbalance or 0, 1) for part in (training, public, private)]
    assert ratios == [16.5, 16.0, 16.0]


def test_a_copy_without_a_majority_has_no_label_of_the_other_set(
    data: Path, tmp_path: Path
) -> None:
    with np.load(write_slice(data, tmp_path / "fer2013.npz", 30, 10, 10)) as arrays:
        changed = dict(arrays)
    changed["images"][45] = changed["images"][2]
    changed["ferplus_votes"][[2, 45]] = [[5, 5, *[0] * 8], [10, *[0] * 9]]
    np.savez(tmp_path / "fer2013.npz", **changed)
    _, check = read_and_check(tmp_path, "ferplus")
    (pair,) = check.parts["PrivateTest"].copies or ()
    assert (pair.image.row, pair.image.label) == (45, "neutral")
    assert (pair.other.row, pair.other.label) == (2, None)
