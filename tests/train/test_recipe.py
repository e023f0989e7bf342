from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_args, get_origin

import msgspec
import pytest

from edgefer.errors import SettingsError, UnknownKey
from edgefer.settings import to_toml
from edgefer_train.architectures import build
from edgefer_train.quantization.quantize import fine_tuning_recipe
from edgefer_train.recipe import Choice, Fit, Recipe, _change, load_recipe


def test_a_recipe_holds_only_its_differences(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('architecture = "small"\n[fit]\nepochs = 3\n')
    recipe = load_recipe(str(path))
    assert recipe.fit == Fit(epochs=3)


def test_an_unknown_key_in_a_recipe_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('architecture = "small"\n[fit]\nepoch = 3\n')
    with pytest.raises(UnknownKey, match=r"'fit\.epoch'; did you mean 'fit\.epochs'"):
        load_recipe(str(path))


def test_an_unknown_recipe_names_those_that_ship() -> None:
    with pytest.raises(SettingsError, match="unknown recipe 'smal'; known: custom_cnn, "):
        load_recipe("smal")


def test_an_unknown_architecture_names_the_registry() -> None:
    with pytest.raises(SettingsError, match="unknown architecture 'vgg'; known: large, small"):
        build("vgg", {"fer2013": 7})


def test_a_recipe_can_be_made_shorter() -> None:
    recipe = load_recipe("small")
    assert recipe.with_epochs(3).fit.epochs == 3
    assert recipe.with_epochs(3).augment == recipe.augment
    assert recipe.with_epochs(None) == recipe
    assert (recipe.with_epochs(0.1).fit.epochs, recipe.with_epochs(0.1).fit.epoch_share) == (1, 0.1)
    with pytest.raises(SettingsError, match=r"--epochs must be whole, or less than 1, got 2\.5"):
        recipe.with_epochs(2.5)


@pytest.mark.parametrize(
    ("table", "key", "value", "expected"),
    [
        ("fit", "learning_rate", "-0.1", "above 0 and at most 10, got -0.1"),
        ("fit", "learning_rate", "nan", "above 0 and at most 10, got nan"),
        ("fit", "label_smoothing", "2", "at least 0 and below 1, got 2"),
        ("fit", "epochs", "0", "from 1 to 1e+06, got 0"),
        ("fit", "optimizer", '"sdg"', "one of adam, nadam, sgd, got sdg"),
        ("fit", "xla", '"yes"', "one of true, false, auto, got yes"),
        ("augment", "jpeg", "1.5", "from 0 to 1, got 1.5"),
        ("distill", "temperature", "0", "above 0 and at most 100, got 0"),
        ("quantize", "epochs", "-3", "from 1 to 1e+06, got -3"),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_the_range(
    tmp_path: Path, table: str, key: str, value: str, expected: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'architecture = "small"\n[{table}]\n{key} = {value}\n')
    with pytest.raises(SettingsError, match=re.escape(f"{table}.{key} must be {expected}")):
        load_recipe(str(path))


def every_number(kind: type[msgspec.Struct], table: str = "") -> Iterator[tuple[str, str, object]]:
    """Yield table, key and a bad value of every number in a struct and in those below it."""
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from every_number(field.type, field.name)
        elif get_origin(field.type) is Annotated and get_args(field.type)[0] in (int, float):
            yield table, field.name, 10**12 if get_args(field.type)[0] is int else "nan"
        else:
            assert field.type not in (int, float), f"{table}.{field.name} has no range"


@pytest.mark.parametrize(("table", "key", "bad"), [*every_number(Recipe)])
def test_every_number_of_a_recipe_has_a_range(
    tmp_path: Path, table: str, key: str, bad: object
) -> None:
    for value in (-1, bad):
        path = tmp_path / "mine.toml"
        top, heading = ("", f"[{table}]\n") if table else (f"{key} = {value}\n", "")
        below = f"{heading}{key} = {value}\n" if table else ""
        path.write_text(f'architecture = "small"\n{top}{below}')
        with pytest.raises(SettingsError, match=rf"{key} must be .*, got {value}"):
            load_recipe(str(path))


@pytest.mark.parametrize(
    "value", ["2024-05-01", "small", ["small", "runs/mine"], True, False, 1e-7, [32, 40]]
)
def test_a_value_of_a_program_is_read_as_what_it_is(value: object) -> None:
    assert _change(f"fit.key={to_toml(value)}") == {"fit": {"key": value}}


def test_a_run_whose_folder_is_called_by_a_date_can_be_started_from() -> None:
    chosen = Choice(start="2024-05-01").started_from("tiny", 48, ())
    assert chosen.apply().weights == "2024-05-01"


def test_int8_is_not_taught_the_shift_that_float_was_trained_with() -> None:
    for balance, kept in (("logit_adjustment", "none"), ("oversample", "oversample")):
        recipe = Choice(changes=(f"fit.balance={balance}",)).apply()
        assert fine_tuning_recipe(recipe).fit.balance == kept
