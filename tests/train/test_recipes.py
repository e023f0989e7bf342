from __future__ import annotations

import re
from importlib import resources

import pytest

from edgefer_train.architectures import ARCHITECTURES, build
from edgefer_train.recipe import Recipe, load_recipe, recipes

NAMED = (
    "custom_cnn",
    "deepfer",
    "elu_cnn",
    "inceptionv3",
    "mini_xception",
    "mobilenet_v2",
    "mobilenet_v3",
    "resnet50",
    "small",
    "tiny",
    "vgg16",
)
EXTENDS = re.compile(r'^extends = "(\w+)"', re.MULTILINE)
DEPTHWISE = ("mini_xception", "mobilenet_v2", "mobilenet_v3", "mobilenet_v2_transfer")


def text(name: str) -> str:
    return (resources.files("edgefer_train") / "recipes" / f"{name}.toml").read_text("utf-8")


def test_every_architecture_has_a_recipe_and_every_recipe_one_of_its_name() -> None:
    named = {name for name in recipes() if not EXTENDS.search(text(name))} - {"finetune"}
    assert set(NAMED) <= named == set(ARCHITECTURES)
    assert all(load_recipe(name).architecture == name for name in named)


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_trains_on_the_side_that_its_network_is_listed_with(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.side == ARCHITECTURES[recipe.architecture].side


@pytest.mark.parametrize("name", [name for name in recipes() if load_recipe(name).fit.sizes])
def test_images_grow_only_where_the_network_can_follow(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.fit.sizes[-1] == recipe.side
    assert build(name, {"fer2013": 7}, None).input_shape == (None, None, None, 1)


@pytest.mark.parametrize("name", DEPTHWISE)
def test_depthwise_convolutions_are_not_compiled(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.fit.xla == "auto"
    assert not ARCHITECTURES[recipe.architecture].xla


@pytest.mark.parametrize("name", recipes())
def test_a_fine_tuning_by_adam_is_slower_than_one_by_sgd(name: str) -> None:
    recipe = load_recipe(name)
    if recipe.fit.optimizer == "adam":
        assert recipe.quantize.learning_rate <= 1e-4


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_says_only_what_differs(name: str) -> None:
    recipe, base = load_recipe(name), EXTENDS.search(text(name))
    plain = load_recipe(base[1]) if base else Recipe(recipe.architecture)
    for table in ("head", "fit", "augment", "distill", "quantize", "gate"):
        given, default = getattr(recipe, table), getattr(plain, table)
        written = keys(text(name), table)
        fields = given.__struct_fields__
        differs = {key for key in fields if getattr(given, key) != getattr(default, key)}
        assert written == differs, f"[{table}]"


def keys(toml: str, table: str) -> set[str]:
    """Return the keys that stand under a table's heading."""
    lines = toml.partition(f"[{table}]\n")[2].partition("\n[")[0].splitlines()
    return {line.partition(" =")[0] for line in lines if line and not line.startswith("#")}


@pytest.mark.parametrize("name", [name for name in NAMED if name not in ("small", "tiny")])
def test_a_recipe_names_its_source(name: str) -> None:
    head = text(name).partition("architecture =")[0]
    assert any(word in head for word in ("github.com", "kaggle.com", " et al. ", "& "))


def test_the_plain_cnn_with_augmentation_is_else_the_plain_one() -> None:
    plain, augmented = load_recipe("custom_cnn"), load_recipe("custom_cnn_augmented")
    assert (augmented.fit, augmented.gate) == (plain.fit, plain.gate)
    assert augmented.augment.flip
    assert augmented.augment.brightness == 0.0


def test_deepfer_has_the_layers_of_its_source() -> None:
    # What Keras counts of the original, https://github.com/Ayush245101, cell "Building Model".
    assert build("deepfer", {"fer2013": 7}).count_params() == 4_348_679
