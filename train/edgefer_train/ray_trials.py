"""The trials of a sweep, run by Ray Tune: on this machine, or on those of a cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import ray
from ray import tune

from edgefer.errors import EdgeferError, SettingsError
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.data.sources import load
from edgefer_train.fitting.cluster import is_there
from edgefer_train.run import Run
from edgefer_train.sweep import RAY, Result, Trial

log = logging.getLogger(__name__)

SETTINGS = {
    # A recipe may name runs and files as seen from here.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # The newer output prints a banner, however quiet it is to be.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Ray would report its use to its makers.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Else Ctrl-C ends a sweep as if all of it were done.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}
"""Of Ray, unless the environment has others."""


class Progress(tune.Callback):
    """Logs each trial that ends."""

    def __init__(self, count: int) -> None:
        self._left = count

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Log what a trial reached."""
        self._left -= 1
        result = msgspec.convert(trial.last_result["result"], Result)
        name, accuracy = Path(result.folder).name, result.accuracy
        log.info("%s: %.2f %% on PublicTest; %d left", name, 100 * accuracy, self._left)

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Log why a trial failed."""
        self._left -= 1
        lines = str(trial.get_pickled_error() or "it died").strip().splitlines()
        log.warning("a trial failed: %s; %d left", lines[-1], self._left)


def run_trials(
    trials: Sequence[Trial], data: Path | None, out: Path, address: str | None
) -> list[Result]:
    """Train each trial on all of a machine, and return what came of those that ended well.

    Raises `SettingsError` where there is no cluster at the address, and `DatasetError` for data
    that cannot be read here.
    """
    place = (address or "auto").removeprefix("ray://")
    if place != "auto" and not is_there(place):
        raise SettingsError(
            f"--address {address}: nothing listens there; expected HOST:PORT of a Ray cluster, as "
            "`ray start --head` prints it, or auto for the one of this machine"
        )
    recipe = trials[0].chosen.apply()
    # Refused before Ray starts, and not by each trial.
    dataset = load(data, recipe.labels, recipe.split, recipe.side)
    xla = decide_xla(trials, dataset, out)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        ray.init(
            address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, RuntimeError) as exc:
        first = str(exc).partition("\n")[0]
        where = f"no cluster at --address {address}" if address else "did not start here"
        raise SettingsError(f"Ray: {where}: {first}") from exc
    try:
        nodes = ray.nodes()  # type: ignore[no-untyped-call]  # as Ray has it
        tuner = tune.Tuner(
            tune.with_resources(train_trial, machine_resources(nodes)),
            param_space={
                "trial": tune.grid_search([msgspec.to_builtins(one) for one in trials]),
                "data": str(data) if data else None,
                "out": str(out),
                "xla": xla,
            },
            tune_config=tune.TuneConfig(metric="accuracy", mode="max"),
            run_config=tune.RunConfig(
                name=RAY, storage_path=str(out), verbose=0, callbacks=[Progress(len(trials))]
            ),
        )
        results = tuner.fit()
    finally:
        ray.shutdown()
    metrics = [results[at].metrics or {} for at in range(len(results))]
    return msgspec.convert([one["result"] for one in metrics if "result" in one], list[Result])


def decide_xla(trials: Sequence[Trial], dataset: Dataset, out: Path) -> dict[str, bool | None]:
    """Return for each trial's name whether XLA is faster, tried once for all of the same net.

    What a run of the sweep has found before is not tried again; None is as in `Record.xla`.
    """
    from edgefer_train.fitting.batches import steps_per_epoch
    from edgefer_train.fitting.compiling import choose_compute
    from edgefer_train.fitting.xla_trial import is_faster_by_xla

    known: dict[tuple[str, int, int], bool] = {}
    recipes = {trial.name: trial.chosen.apply() for trial in trials}
    nets = {name: (one.architecture, one.side, one.fit.batch_size) for name, one in recipes.items()}
    for name, net in nets.items():
        record = Run(out / name).record_if_any()
        if record is not None and record.xla is not None:
            known[net] = record.xla

    def trial(*net: Any) -> bool:
        if net not in known:
            known[net] = is_faster_by_xla(*net)
        return known[net]

    training = dataset.part(Usage.Training)
    for recipe in recipes.values():
        how = recipe.fit
        steps = steps_per_epoch(training, how.batch_size, how.balance, how.epoch_share)
        choose_compute(recipe, steps * how.epochs, trial=trial)
    return {name: known.get(net) for name, net in nets.items()}


def machine_resources(nodes: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return what a trial takes: the processors of the smallest machine, a GPU if each has one."""
    machines = [node["Resources"] for node in nodes if node["Alive"]]
    machines = [one for one in machines if one.get("CPU")]
    if not machines:
        raise SettingsError("Ray: no machine of the cluster offers a processor")
    gpu = {"GPU": 1.0} if all(one.get("GPU") for one in machines) else {}
    return {"CPU": min(one["CPU"] for one in machines), **gpu}


def train_trial(config: dict[str, Any]) -> dict[str, Any]:
    """Train one trial in a process of Ray's, unless that is done; return `accuracy`, `result`."""
    trial = msgspec.convert(config["trial"], Trial)
    data, out = config["data"], Path(config["out"])
    run, recipe = Run(out / trial.name), trial.chosen.apply()
    record = run.record_if_any()
    if record is None or record.recipe != recipe or run.float.outcome() is None:
        from edgefer_train.training import train

        try:
            place, xla = Path(data) if data else None, config["xla"][trial.name]
            train(trial.chosen, place, run.folder, resume=True, xla=xla)
        except EdgeferError as exc:
            # Its own kind cannot be brought from one process to another.
            raise RuntimeError(f"{trial.name}: {exc}") from None
    outcome = run.float.outcome()
    accuracy = outcome.accuracy[recipe.labels] if outcome else 0.0
    result = Result(str(run.folder), dict(trial.values), accuracy, round(run.minutes(), 1))
    return {"accuracy": accuracy, "result": msgspec.to_builtins(result)}
