from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pytest

from edgefer.errors import SettingsError, UnknownKey
from edgefer.settings import expectation, parse, read_toml, to_toml
from edgefer_device.daemon.configuration import load_config


class Inner(msgspec.Struct, frozen=True):
    threshold: float = 0.5


class Outer(msgspec.Struct, frozen=True):
    name: str
    inner: Inner = Inner()
    sizes: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("inf"), "inf"),
        (np.float64(0.5), "0.5"),
        (np.int64(3), "3"),
        (Path("runs/a"), '"runs/a"'),
        ((1, "x", True), '[1, "x", true]'),
    ],
)
def test_values_of_a_program_are_written_as_toml(value: object, text: str) -> None:
    assert to_toml(value) == text


def test_defaults_fill_what_the_table_leaves_out() -> None:
    assert parse({"name": "a"}, Outer, "x.toml") == Outer("a")


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(UnknownKey, match=r"x\.toml: unknown key 'inner\.treshold'") as caught:
        parse({"name": "a", "inner": {"treshold": 1.0}}, Outer, "x.toml")
    assert caught.value.nearest == "inner.threshold"


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"x\.toml: inner\.threshold must be a number, got a text"
    ):
        parse({"name": "a", "inner": {"threshold": "high"}}, Outer, "x.toml")


def test_a_value_of_a_list_is_refused_with_what_the_list_takes() -> None:
    with pytest.raises(
        SettingsError, match=r"x\.toml: sizes must be a list of whole numbers, got a text"
    ):
        parse({"name": "a", "sizes": [24, "high"]}, Outer, "x.toml")


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("a = = b")
    with pytest.raises(SettingsError, match=r"bad\.toml"):
        read_toml(tmp_path / "bad.toml")
    with pytest.raises(SettingsError, match="no such file"):
        read_toml(tmp_path / "none.toml")


def test_bytes_of_an_option_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(SettingsError, match="options: labels must be UTF-8, got other bytes"):
        load_config(None, {"labels": "\udcff"})


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (tuple[Literal["tue", "wed"], ...], "a list of tue, wed"),
        (tuple[str, ...], "a list of texts"),
        (Annotated[float, msgspec.Meta(le=1)], "at most 1"),
        (Annotated[float, msgspec.Meta(gt=0, lt=1)], "above 0 and below 1"),
        (str | tuple[str, ...], "a text or a list of texts"),
        (
            tuple[Annotated[int, msgspec.Meta(ge=16, le=512)], ...],
            "a list of numbers from 16 to 512",
        ),
        (tuple[int, int, int], "a list of 3 whole numbers"),
    ],
)
def test_a_list_of_choices_names_them_as_they_are(hint: Any, words: str) -> None:
    assert expectation(hint) == words
