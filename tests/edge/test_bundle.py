from __future__ import annotations

import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefer.bundle import Bundle, describe, open_bundle, shipped, write_bundle
from edgefer.errors import BundleCorrupt, BundleError, BundleMissing, SchemaMismatch
from edgefer.files import to_zip
from edgefer.inspection import show
from edgefer.manifest import MANIFEST, write_manifest
from edgefer.runtime import open_classifier
from edgefer.signature import make_keys, public_of
from support.bundles import CONTENTS, manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", manifest(), CONTENTS)
    return tmp_path / "bundle"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A public key."""
    make_keys(tmp_path / "maker")
    return public_of(tmp_path / "maker")


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
    with pytest.raises(SchemaMismatch, match="schema version 1, this edgefer reads 2"):
        write_bundle(tmp_path / "bundle", manifest(schema_version=1), CONTENTS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"labels": [',
            '"lables": [',
            "unknown key 'heads 1.lables'; did you mean 'heads 1.labels'",
        ),
        ('"temperature": 1.0', '"temperature": "warm"', "temperature must be a number, got a text"),
        ('"temperature": 1.0', '"temperature": -1.0', r"temperature must be 0\.01 to 100"),
        ('"temperature": 1.0', '"temperature": 0.0', r"temperature must be 0\.01 to 100"),
        ('"scale": 0.1', '"scale": 1e39', "scale must be above 0 and finite in float32"),
        ('"scale": 0.1', '"scale": 1e-50', "scale must be above 0 and finite in float32"),
        ('"scale": 0.1', '"scale": NaN', "not a manifest"),
        ('"size": 48', '"size": 4800', r"shape must be \(size, size, 1\)"),
        ('"margin": 0.0', '"margin": -0.5', "margin must be above"),
        ('"angry"', '"happy"', "labels must be two or more different names"),
        ('"angry"', '"unknown"', "no class can be called 'unknown'"),
        ('"angry"', '"Nobody"', "no class can be called 'Nobody'"),
        ('"bytes": 16', '"bytes": -16', "files must have 0 bytes or more"),
        ('"schema_version": 2', '"schema_version": "a\\nb"', r"schema version 'a\\nb', this"),
        ("{", "[" * 100_000, "not a manifest"),
        ("{", "", "not a manifest"),
    ],
)
def test_a_manifest_that_breaks_its_schema_is_refused(
    folder: Path, old: str, new: str, message: str
) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace(old, new, 1))
    with pytest.raises(BundleError, match=message) as refused:
        open_bundle(folder)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_text("hello")
    with pytest.raises(BundleCorrupt, match="neither folder nor zip"):
        open_bundle(tmp_path / "bundle.zip")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_zip_of_which_a_part_was_copied_is_called_truncated(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "bundle.zip"
    write_bundle(path, manifest(), CONTENTS)
    whole = path.read_bytes()
    path.write_bytes(whole[: round(kept * len(whole))])
    with pytest.raises(BundleCorrupt, match=r"not a model bundle: a truncated zip; copy it again"):
        open_bundle(path)


def test_a_zip_without_manifest_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr("other.txt", "hello")
    with pytest.raises(BundleMissing, match=r"manifest\.json is missing"):
        open_bundle(tmp_path / "bundle.zip")


def test_a_manifest_of_other_labels_than_the_model_has_is_refused() -> None:
    tiny = open_bundle("tiny")
    heads = tuple(msgspec.structs.replace(head, labels=("a", "b")) for head in tiny.manifest.heads)
    other = msgspec.structs.replace(tiny.manifest, heads=heads)
    for format in ("int8", "onnx", "onnx-int8", "mobile"):
        with pytest.raises(BundleCorrupt, match="by the manifest it"):
            open_classifier(Bundle(tiny.path, other, tiny.contents), format)


def test_a_bundle_without_scores_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(open_bundle(folder))
    assert "labels.txt" in capsys.readouterr().out


def test_a_folder_named_as_a_shipped_model_does_not_replace_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_bundle(Path("small"), manifest(), CONTENTS).manifest.name == "test"
    assert open_bundle("small").manifest.name == "small"
    assert open_bundle("./small").manifest.name == "test"


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", ""])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(BundleError):
        open_bundle(name)


def test_a_zip_that_would_fill_the_memory_is_refused_before_it_is_unpacked(
    tmp_path: Path, key: Path
) -> None:
    bomb = tmp_path / "bomb.zip"
    zeros = bytes(50_000_000)
    files = {"int8": describe("model.int8.tflite", zeros, "LiteRT")}
    named = msgspec.structs.replace(manifest(), files=files)
    bomb.write_bytes(to_zip({MANIFEST: write_manifest(named), "model.int8.tflite": zeros}))
    for signed_by, message in ((None, "would have 50,000,000 bytes"), (key, "is not signed")):
        tracemalloc.start()
        with pytest.raises(BundleError, match=message):
            open_bundle(bomb, signed_by=signed_by)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
        tracemalloc.stop()


def test_a_manifest_that_unpacks_to_more_than_one_may_have_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    bomb.write_bytes(to_zip({MANIFEST: bytes(100_000_000)}))
    with pytest.raises(BundleCorrupt, match=r"manifest\.json has more than the 4,000,000 bytes"):
        open_bundle(bomb)


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    content = to_zip({MANIFEST: bytes(100_000_000)})
    bomb.write_bytes(content.replace((100_000_000).to_bytes(4, "little"), bytes([100, 0, 0, 0])))
    with pytest.raises(BundleCorrupt, match="a damaged zip"):
        open_bundle(bomb)


def test_only_deflate_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(MANIFEST, write_manifest(manifest()))
    with pytest.raises(BundleCorrupt, match="a damaged zip"):
        open_bundle(tmp_path / "bundle.zip")


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_a_damaged_zip_opens_or_is_refused_in_one_line(data: st.DataObject) -> None:
    named = {manifest().files[one].path: content for one, content in CONTENTS.items()}
    content = bytearray(to_zip({**named, MANIFEST: write_manifest(manifest())}))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "bundle.zip"
        path.write_bytes(content)
        try:
            open_bundle(path)
        except BundleError as exc:
            assert "\n" not in str(exc)


def test_bytes_that_hash_right_but_are_no_model_are_refused(folder: Path) -> None:
    with pytest.raises(BundleCorrupt, match="not a TFLite model"):
        open_classifier(open_bundle(folder))


def test_a_format_that_the_bundle_lacks_is_said_with_those_it_has(folder: Path) -> None:
    with pytest.raises(BundleError, match="has no 'onnx' file; it has: int8, labels"):
        open_classifier(open_bundle(folder), "onnx")
