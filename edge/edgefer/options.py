"""Options that verbs of several packages share."""

from __future__ import annotations

import functools
import importlib
import math
import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

Verb = TypeVar("Verb", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]

MAX_THREADS = 64
"""Of a model: LiteRT and onnxruntime make as many as they are told, until the process dies."""


class PathType(click.Path):
    """A path, by the word that help shows for it: FILE, FOLDER or PATH."""

    def __init__(self, name: str) -> None:
        super().__init__(path_type=Path)
        self.name = name

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path, or end with a usage error: an empty one would be this folder."""
        if not str(value):
            self.fail("a path must not be empty.", param, ctx)
        return Path(os.fsdecode(super().convert(value, param, ctx)))


class Number(click.FloatRange):
    """A number within bounds; never NaN or infinity, which Python reads too."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the number, or end with a usage error."""
        number = float(super().convert(value, param, ctx))
        return number if math.isfinite(number) else self.fail(f"{value} is no number.", param, ctx)


FILE, FOLDER, PATH = PathType("file"), PathType("folder"), PathType("path")
DETECTORS = click.Choice(["haar", "blazeface", "blazeface-short"])

config_option = click.option("--config", type=FILE, help="Configuration of the daemon, TOML.")
data_option = click.option(
    "--data",
    type=FOLDER,
    envvar="EDGEFER_DATA",
    help="Dataset: fer2013.npz or fer2013.csv, train/ and test/, or a folder a class.",
)
detector_option = click.option("--detector", type=DETECTORS, help="Face detector.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
labels_option = click.option(
    "--labels", metavar="SET", help="Label set of a model that has several, or both."
)
model_option = click.option(
    "--model", metavar="BUNDLE", help="Model bundle: a path, or the name of a shipped one."
)
plot_option = click.option("--plot", type=FILE, help="Draw the result as a PNG file.")
recipe_option = click.option(
    "--recipe",
    "name",
    metavar="RECIPE",
    help="Shipped recipe's name or a TOML file; default: small.",
)
run_option = click.option(
    "--run", "run_folder", type=FOLDER, required=True, help="Folder of a training run."
)


def grouped(name: str, factory: str, *options: Decorator) -> Decorator:
    """Return what adds options to a verb, which gets them as one struct, its argument `name`.

    `factory`, `module:attribute`, makes the struct from arguments that are named as the options
    are; it is imported when the verb is called.
    """

    def add(verb: Verb) -> Verb:
        @functools.wraps(verb)
        def call(**given: Any) -> Any:
            module, _, attribute = factory.partition(":")
            make = operator.attrgetter(attribute)(importlib.import_module(module))
            given[name] = make(**{option: given.pop(option) for option in names})
            return verb(**given)

        before = len(getattr(verb, "__click_params__", ()))
        decorated: Any = call
        for option in reversed(options):
            decorated = option(decorated)
        names = [parameter.name for parameter in decorated.__click_params__[before:]]
        return cast("Verb", decorated)

    return add
