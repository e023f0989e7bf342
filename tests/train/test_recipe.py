from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.errors import SettingsError, UnknownKey
from edgefer_train.architectures import build
from edgefer_train.recipe import Fit, load_recipe


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
