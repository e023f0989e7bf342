"""The configuration file: strict, and in clear words."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.inspect import FloatType, IntType, StructType, VarTupleType, type_info

from configuration_reference import struct_of
from edgefer.bundle import open_bundle, sign_bundle
from edgefer.errors import BundleError, SettingsError, UnknownKey
from edgefer.settings import parse, read_toml
from edgefer.signature import make_keys
from edgefer_device.daemon.configuration import Config, load_config, model_of

EXAMPLE = Path(__file__).parents[3] / "firmware-config" / "common" / "edgefer.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "edgefer.toml"
    path.write_text(text)
    return path


def test_a_file_holds_only_its_differences(tmp_path: Path) -> None:
    text = 'camera = "demo:"\nsinks = ["jsonl:-", "mirror:"]\n[mood]\nthreshold = 0.5\n'
    config = load_config(written(tmp_path, text))
    assert config.camera == "demo:"
    assert config.sinks == ("jsonl:-", "mirror:")
    assert config.mood.threshold == 0.5
    assert config.mood.seconds == Config().mood.seconds
    assert config.tracking == Config().tracking


def test_given_values_override_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'camera = "demo:"\ndetector = "haar"\n')
    config = load_config(path, {"camera": "file:clip.mkv", "sinks": ("jsonl:-",)})
    assert (config.camera, config.detector) == ("file:clip.mkv", "haar")
    assert config.sinks == ("jsonl:-",)


def test_the_shipped_example_holds_the_defaults() -> None:
    config = load_config(EXAMPLE)
    assert config == msgspec.structs.replace(Config(), sinks=("mirror:",))
    assert config.camera == "auto:"


def keys(kind: type[msgspec.Struct]) -> dict[str, Any]:
    inner = {field.encode_name: struct_of(field.type) for field in msgspec.structs.fields(kind)}
    return {name: nested and keys(nested) for name, nested in inner.items()}


def keys_of(table: dict[str, Any]) -> dict[str, Any]:
    first = {name: one[0] if name == "rule" else one for name, one in table.items()}
    return {name: keys_of(one) if isinstance(one, dict) else None for name, one in first.items()}


def test_the_shipped_example_names_every_key(tmp_path: Path) -> None:
    shipped = EXAMPLE.read_text()
    whole = re.sub(r"^# ([a-z_]+ = |\[\[)", r"\1", shipped, flags=re.MULTILINE)
    table = read_toml(written(tmp_path, whole))
    assert keys_of(table) == keys(Config)
    table["screen"]["tool"] = "command"
    table["content"]["allow_commands"] = True
    assert parse(table, Config, "the example").content.rule[0].mqtt is not None


def test_without_a_file_the_defaults_hold() -> None:
    assert load_config(None) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('camra = "demo:"', "unknown key 'camra'; did you mean 'camera'?"),
        ("[mood]\ntreshold = 0.5", "unknown key 'mood.treshold'; did you mean 'mood.threshold'?"),
        ("[trackin]\nhits = 3", "unknown key 'trackin'; did you mean 'tracking'?"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(UnknownKey) as refused:
        load_config(written(tmp_path, text))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "camera = 0",
        "[mood]\nthreshold = 2.0",
        "[tracking]\nhits = 0",
        "camera = ",
        "sinks = 'x'",
        "signed_by = ''",
        "threads = 0",
        "threads = 100000",
    ],
)
def test_a_value_that_cannot_be_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"edgefer\.toml"):
        load_config(written(tmp_path, text))


def numbers(kind: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every number that a file can set: its key and its type."""
    for one in getattr(kind, "types", (kind,)):
        if isinstance(one, StructType):
            for field in one.fields:
                yield from numbers(field.type, f"{path}.{field.encode_name}".lstrip("."))
        elif isinstance(one, VarTupleType):
            yield from numbers(one.item_type, f"{path}[0]")
        elif isinstance(one, IntType | FloatType):
            yield path, one


@pytest.mark.parametrize(("key", "kind"), [*numbers(type_info(Config))])
def test_a_number_beyond_its_range_is_one_line_with_key_value_and_range(
    tmp_path: Path, key: str, kind: Any
) -> None:
    low = kind.ge if kind.gt is None else kind.gt
    assert None not in (low, kind.le), f"{key} has no range"
    *tables, name = key.split(".")
    rule = ["[[content.rule]]", 'text = "x"'] if "[0]" in key else [f"[{'.'.join(tables)}]"]
    shown = key.replace("content.rule[0].", "[[content.rule]] 1: ")
    for value in (low - 1, kind.le + 1, 10**30, "nan", "-inf"):
        text = "\n".join([*(rule if tables else []), f"{name} = {value}"])
        with pytest.raises(SettingsError) as refused:
            load_config(written(tmp_path, text))
        assert shown in str(refused.value)
        assert "\n" not in str(refused.value)
        if isinstance(value, int):
            bounds = f"from {low:g}" if kind.gt is None else f"above {low:g} and at most"
            assert f"{shown} must be {bounds}" in str(refused.value)
            assert str(refused.value).endswith(f"{kind.le:g}, got {value!s:.20}")


def test_a_certainty_in_percent_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "[tracking]\ncertainty = 70\n")
    with pytest.raises(SettingsError) as refused:
        load_config(path)
    assert str(refused.value) == f"{path}: tracking.certainty must be from 0 to 1, got 70"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.toml: no such file"):
        load_config(tmp_path / "absent.toml")


def test_a_model_that_the_wanted_key_has_not_signed_is_refused(tmp_path: Path) -> None:
    copy = shutil.copytree(open_bundle("small").path, tmp_path / "small")
    make_keys(tmp_path / "release")
    wanted = f'model = "{copy}"\nsigned_by = "{tmp_path / "release.pub"}"\n'
    with pytest.raises(BundleError, match="is not signed"):
        model_of(load_config(written(tmp_path, wanted)))
    sign_bundle(copy, tmp_path / "release")
    assert model_of(load_config(written(tmp_path, wanted))).manifest.name == "small"
