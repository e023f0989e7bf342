"""A sweep: what it tries, and what came of it."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.table import Table

from edgefer.errors import RunError, SettingsError
from edgefer.settings import parse, read_toml, to_toml
from edgefer.terminal import Terminal
from edgefer_train.recipe import Choice, Count

log = logging.getLogger(__name__)

RAY = "ray"
"""Folder of Ray's own files in that of a sweep."""
REDRAWS = 100
"""Tries for numbers that no other trial has."""
TRIALS = 1000
"""That a sweep may have."""
Value = bool | int | float | str


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds between which a trial's number is drawn."""

    low: int | float
    high: int | float
    log: bool = False
    """Draw its logarithm evenly instead: for what matters by factors."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"low must be below high, both of them numbers, got {self.low:g} and {self.high:g}"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 for log, got {self.low:g}")

    def draw(self, random: np.random.Generator) -> int | float:
        """Return a whole number between whole bounds, else one of three digits."""
        low, high = (np.log(self.low), np.log(self.high)) if self.log else (self.low, self.high)
        drawn = float(random.uniform(low, high))
        number = float(np.exp(drawn)) if self.log else drawn
        if isinstance(self.low, int) and isinstance(self.high, int):
            return round(number)
        # Three digits may lie beyond a bound that has more.
        return min(max(float(f"{number:.3g}"), self.low), self.high)


class Space(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sweep tries: every combination of the lists, numbers drawn from the ranges."""

    vary: dict[str, tuple[Value, ...] | Range]
    """By key of the recipe, as `--set` names it: `fit.learning_rate`."""
    recipe: str = "small"
    """Shipped recipe's name or a TOML file."""
    set: dict[str, Any] = {}
    """Keys that are the same in every trial."""
    draws: Count = 1
    """Trials of each combination, where there are ranges."""
    seed: int = 1

    def trials(self) -> Iterator[Trial]:
        """Yield the trials in order: the same ones for the same space."""
        random, seen = np.random.default_rng(self.seed), set[tuple[Value, ...]]()
        lists = {key: one for key, one in self.vary.items() if isinstance(one, tuple)}
        ranges = {key: one for key, one in self.vary.items() if isinstance(one, Range)}
        for values in itertools.product(*lists.values()):
            for _ in range(self.draws if ranges else 1):
                for _ in range(REDRAWS):
                    drawn = {key: one.draw(random) for key, one in ranges.items()}
                    if (*values, *drawn.values()) not in seen:
                        break
                seen.add((*values, *drawn.values()))
                yield Trial(self.recipe, self.set, dict(zip(lists, values, strict=True)) | drawn)


class Trial(msgspec.Struct, frozen=True):
    """One training of a sweep."""

    recipe: str
    set: Mapping[str, Any]
    values: Mapping[str, Value]

    @property
    def name(self) -> str:
        """Of its folder: the values, as `learning_rate=0.05,rotation=10`."""
        words = (f"{key.rpartition('.')[2]}={value}" for key, value in self.values.items())
        return re.sub(r"[^\w.=,+-]", "_", ",".join(words))[:200]

    @property
    def chosen(self) -> Choice:
        """The recipe with the trial's values."""
        changes = (f"{key}={to_toml(value)}" for key, value in {**self.set, **self.values}.items())
        return Choice(name=self.recipe, changes=tuple(changes))


class Result(msgspec.Struct, frozen=True):
    """What came of a trial."""

    folder: str
    values: dict[str, Value]
    accuracy: float
    """On PublicTest, 0..1, of the recipe's labels."""
    minutes: float


def read_space(path: Path) -> list[Trial]:
    """Return the trials of a space's TOML file; raise `SettingsError` for what no recipe takes."""
    space = parse(read_toml(path), Space, str(path))
    if space.recipe.endswith(".toml"):
        beside = str((path.parent / space.recipe).resolve())
        space = msgspec.structs.replace(space, recipe=beside)
    trials = list(itertools.islice(space.trials(), TRIALS + 1))
    both = [key for key in space.vary if key in space.set]
    if both:
        raise SettingsError(f"{path}: {both[0]} stands in [set] and in [vary]; leave it in one")
    if not space.vary or not trials:
        raise SettingsError(f"{path}: `vary` must name one key or more, each with a value")
    if len(trials) > TRIALS:
        raise SettingsError(f"{path}: more than {TRIALS} trials; vary fewer keys at once")
    for trial in trials:
        try:
            trial.chosen.apply()
        except SettingsError as exc:
            raise SettingsError(f"{path}: {exc}") from exc
    names = [trial.name for trial in trials]
    twins = [name for at, name in enumerate(names) if name in names[:at]]
    if twins:
        raise SettingsError(f"{path}: two trials have the same values, or folder: {twins[0]}")
    return trials


def require_free(out: Path, resume: bool) -> None:
    """Raise `RunError` for a folder that is in use, unless its sweep is to go on."""
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / RAY).is_dir():
        raise RunError(f"{out}: is not empty, and holds no sweep; choose another --out")
    if not resume:
        raise RunError(f"{out}: already holds a sweep; add --resume to continue it")


def show(found: list[Result], out: Path, trials: int) -> None:
    """Print the results with the best first; raise `RunError` where no trial ended well."""
    ranked = sorted(found, key=lambda one: -one.accuracy)
    if not ranked:
        raise RunError(f"{out}: no trial ended well; each one's error stands above")
    keys = list(ranked[0].values)
    table = Table(*(key.rpartition(".")[2] for key in keys), "PublicTest", "minutes")
    for one in ranked:
        values = (f"{one.values[key]}" for key in keys)
        table.add_row(*values, f"{one.accuracy:.2%}", f"{one.minutes:.1f}")
    Terminal().print(table)
    if len(found) < trials:
        log.warning(
            "%d of %d trials did not end well; repeat: --resume", trials - len(found), trials
        )
    best = ranked[0]
    log.info("best: %s; next: edgefer quantize --run %s", best.folder, best.folder)
