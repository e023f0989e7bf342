"""The verbs of recipes: list, show, check."""

from __future__ import annotations

import click

from edgefer.console import say
from edgefer.options import json_option


@click.group()
def recipe() -> None:
    """List, show and check training recipes."""


@recipe.command("list")
@json_option
def list_recipes(as_json: bool) -> None:
    """List the shipped recipes."""
    from rich.table import Table

    from edgefer.messages import to_json
    from edgefer.terminal import Terminal
    from edgefer_train.recipe import listed

    table = Table(box=None, show_header=False)
    for one in listed():
        if as_json:
            say(to_json(one))
        table.add_row(one.name, one.heading)
    if not as_json:
        Terminal().print(table)


@recipe.command()
@click.argument("name", metavar="RECIPE")
def show(name: str) -> None:
    """Print a recipe as TOML, to start one's own."""
    from edgefer_train.recipe import recipe_text

    # A tab is none of TOML's escapes outside a text.
    say(*recipe_text(name).expandtabs(4).splitlines())


@recipe.command()
@click.argument("name", metavar="RECIPE")
def check(name: str) -> None:
    """Check a recipe's keys, ranges, network and weights.

    The exit status is 1 where a training would be refused.
    """
    from edgefer.labels import LABEL_SETS
    from edgefer_train.recipe import load_recipe

    recipe = load_recipe(name)
    from edgefer_train.architectures import macs, parameters, require_side
    from edgefer_train.fitting.compiling import choose_precision
    from edgefer_train.fitting.fit import announce_net
    from edgefer_train.fitting.initial_weights import build_model
    from edgefer_train.fitting.teachers import load_teachers

    labels = LABEL_SETS.get(recipe.labels, LABEL_SETS["fer2013"])
    model = build_model(recipe, {recipe.labels: labels}, recipe.side)
    if recipe.fit.sizes:
        require_side(recipe.architecture, None)
    load_teachers(recipe.distill)
    announce_net(recipe, parameters(model), macs(model))
    say(f"{name}: a training would start, in {choose_precision(recipe)}")
