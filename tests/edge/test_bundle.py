from __future__ import annotations

import zipfile
from pathlib import Path

import msgspec
import pytest

from edgefer.bundle import open_bundle, shipped, write_bundle
from edgefer.errors import BundleCorrupt, BundleError, BundleMissing, SchemaMismatch
from edgefer.runtime import open_classifier
from support.bundles import CONTENTS, manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", manifest(), CONTENTS)
    return tmp_path / "bundle"


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_a_bundle_comes_back_as_it_was_written(tmp_path: Path, name: str) -> None:
    write_bundle(tmp_path / name, manifest(), CONTENTS)
    opened = open_bundle(tmp_path / name)
    assert opened.manifest == manifest()
    assert opened.read("int8") == CONTENTS["int8"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_same_content_gives_the_same_zip(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        write_bundle(tmp_path / name, manifest(), CONTENTS)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_writing_again_replaces_the_old_bundle(folder: Path) -> None:
    write_bundle(folder, msgspec.structs.replace(manifest(), name="newer"), CONTENTS)
    assert open_bundle(folder).manifest.name == "newer"


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"dear")
    with pytest.raises(BundleError, match="not a model bundle"):
        write_bundle(tmp_path / "photos", manifest(), CONTENTS)
    assert (tmp_path / "photos" / "me.jpg").read_bytes() == b"dear"


def test_a_missing_bundle_is_named_with_those_that_ship(tmp_path: Path) -> None:
    with pytest.raises(BundleMissing, match=", ".join(shipped())):
        open_bundle(tmp_path / "none")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "model.int8.tflite").unlink()
    with pytest.raises(BundleMissing, match=r"model\.int8\.tflite is missing"):
        open_bundle(folder)


def test_a_truncated_model_is_refused(folder: Path) -> None:
    (folder / "model.int8.tflite").write_bytes(CONTENTS["int8"][:5])
    with pytest.raises(BundleCorrupt, match="has 5 bytes, the manifest says 16"):
        open_bundle(folder)


def test_a_changed_byte_is_refused(folder: Path) -> None:
    (folder / "model.int8.tflite").write_bytes(b"N" + CONTENTS["int8"][1:])
    with pytest.raises(BundleCorrupt, match="does not match its sha256"):
        open_bundle(folder)


def test_a_path_out_of_the_bundle_is_refused(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace("labels.txt", "../labels.txt"))
    with pytest.raises(BundleCorrupt, match="outside the bundle"):
        open_bundle(folder)


def test_another_schema_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="schema version 2, this edgefer reads 1"):
        write_bundle(tmp_path / "bundle", manifest(schema_version=2), CONTENTS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"labels": [', '"lables": [', "unknown key 'lables'; did you mean 'labels'"),
        ('"temperature": 1.0', '"temperature": "warm"', "Expected `float`"),
        ("{", "", "not a manifest"),
    ],
)
def test_a_manifest_that_breaks_its_schema_is_refused(
    folder: Path, old: str, new: str, message: str
) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace(old, new, 1))
    with pytest.raises(BundleCorrupt, match=message):
        open_bundle(folder)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_text("hello")
    with pytest.raises(BundleCorrupt, match="neither folder nor zip"):
        open_bundle(tmp_path / "bundle.zip")


def test_a_zip_without_manifest_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr("other.txt", "hello")
    with pytest.raises(BundleMissing, match=r"manifest\.json is missing"):
        open_bundle(tmp_path / "bundle.zip")


def test_bytes_that_hash_right_but_are_no_model_are_refused(folder: Path) -> None:
    with pytest.raises(BundleCorrupt, match="not a TFLite model"):
        open_classifier(open_bundle(folder))


def test_a_format_that_the_bundle_lacks_is_said_with_those_it_has(folder: Path) -> None:
    with pytest.raises(BundleError, match="has no 'onnx' file; it has: int8, labels"):
        open_classifier(open_bundle(folder), "onnx")
