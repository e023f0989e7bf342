"""The verbs of recipes: list, show, check."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from edgefer.console import say
from edgefer.errors import EdgeferError
from edgefer.labels import LABEL_SETS
from edgefer.options import json_option

if TYPE_CHECKING:
    from edgefer_train.recipe import Recipe

log = logging.getLogger(__name__)


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
    """List every mistake in a recipe, its network and weights.

    The exit status is 1 where a training would be refused.
    """
    from edgefer_train.recipe import examine

    found, recipe = examine(name)
    refused = [f"{name}: {one}" for one in found]
    if recipe is not None:
        refused += _refused_by_net(recipe)
    for line in refused:
        log.error("%s", line)
    if refused or recipe is None:
        raise SystemExit(1)
    from edgefer_train.fitting.compiling import choose_precision

    say(f"{name}: a training would start, in {choose_precision(recipe)}")


def _refused_by_net(recipe: Recipe) -> list[str]:
    """Return what the network, its weights and teachers refuse; log what the network is."""
    from edgefer_train.architectures import macs, parameters, require_side
    from edgefer_train.fitting.fit import announce_net
    from edgefer_train.fitting.initial_weights import build_model
    from edgefer_train.fitting.teachers import load_teachers

    def build() -> None:
        labels = LABEL_SETS.get(recipe.labels, LABEL_SETS["fer2013"])
        model = build_model(recipe, {recipe.labels: labels}, recipe.side)
        announce_net(recipe, parameters(model), macs(model))

    def grow() -> None:
        if recipe.fit.sizes:
            require_side(recipe.architecture, None)

    steps: list[Callable[[], object]] = [build, grow, partial(load_teachers, recipe.distill)]
    refused = []
    for step in steps:
        try:
            step()
        except EdgeferError as exc:
            refused.append(str(exc))
    return list(dict.fromkeys(refused))
