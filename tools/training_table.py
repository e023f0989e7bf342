"""Tables of several trainings: the seeds' networks, ways to balance labels, and augmentation.

    python tools/training_table.py seeds|balance|augmentation DIR RUNS [--show]

Trains what is not finished in RUNS, or goes on with it, and prints a row each; `--show` trains
nothing: what is not there is "not trained here".
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean

from edgefer_train.run import Run

SEEDS = (
    *("custom_cnn", "custom_cnn_augmented", "deepfer", "elu_cnn", "resnet50", "mini_xception"),
    *("vgg16", "inceptionv3", "mobilenet_v2", "mobilenet_v3", "mobilenet_v2_transfer"),
)
BALANCES = (
    *("none", "oversample", "undersample", "both"),
    *("class_weights", "batches", "logit_adjustment"),
)
ALONE = ["--recipe", "tiny", "--set", "distill.teachers=[]", "--set", "fit.votes_weight=0"]
CAMERA = {
    **{"gamma": 0.2, "occlusion": 0.02, "blur": 0.1},
    **{"low_resolution": 0.1, "noise": 0.2, "jpeg": 0.15},
}
"""Degradations, each left out once from all of them."""
SHORT = ["--recipe", "tiny", "--set", 'weights="tiny"', "--set", "fit.epochs=6"]


def degraded(without: str = "") -> list[str]:
    """Return the options of a short training on camera degradations, one of them left out."""
    rates = (f"augment.{kind}={rate}" for kind, rate in CAMERA.items() if kind != without)
    return [*SHORT, *(word for rate in rates for word in ("--set", rate))]


TABLES = {
    "seeds": {name: ["--recipe", name] for name in SEEDS},
    "balance": {kind: [*ALONE, "--set", f"fit.balance={kind}"] for kind in BALANCES},
    "augmentation": {
        **{"none": SHORT, "all": degraded()},
        **{f"all but {kind}": degraded(kind) for kind in CAMERA},
    },
}
HEAD = ("epochs", "minutes", "PublicTest", "PrivateTest", "leak-free", "mean recall")
CORRUPTIONS = {
    "noise": "gaussian_noise",
    **{"blur": "defocus_blur", "motion": "motion_blur", "24x24": "low_resolution"},
    **{"JPEG": "jpeg", "brightness": "brightness", "darkness": "darkness"},
    "occlusion": "occlusion",
}
"""Columns of the table of augmentation: kinds of `evaluate --corruptions`."""
STRENGTH = 2
"""Of theirs: the third of five."""


def edgefer(*words: str) -> str:
    """Run the command; return what it prints."""
    command = [sys.executable, "-m", "edgefer.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def train(options: list[str], data: str, run: Run) -> None:
    """Train unless that is done."""
    if run.float.outcome() is None:
        begun = ["--resume"] if run.record_file.exists() else []
        edgefer("train", *options, "--data", data, "--out", str(run.folder), *begun)


def robustness(data: str, run: Run) -> list[str]:
    """Return a float model's accuracy on PublicTest: as it is, by corruption, and over all."""
    words = ("evaluate", str(run.folder), "--data", data, "--format", "float", "--json")
    found = json.loads(edgefer(*words, "--corruptions", "--part", "PublicTest"))
    by_kind = {kind: [one["accuracy"] for one in of] for kind, of in found["corrupted"].items()}
    shown = [by_kind[kind][STRENGTH] for kind in CORRUPTIONS.values()]
    figures = [found["clean"]["accuracy"], *shown, mean(map(mean, by_kind.values()))]
    return [f"{figure:.1%}" for figure in figures]


def row(which: str, name: str, data: str, run: Run) -> str:
    """Return a training's row, by its float model."""
    outcome = run.float.outcome()
    if outcome is None:
        done = len(run.float.rows())
        return f"| `{name}` | {f'{done} so far' if done else 'not trained here'} |"
    if which == "augmentation":
        return f"| {name} | {' | '.join(robustness(data, run))} |"
    words = ("evaluate", str(run.folder), "--data", data, "--format", "float", "--json")
    found, recipe = json.loads(edgefer(*words)), run.record().recipe
    cells = (
        f"{len(run.float.rows())} of {recipe.fit.epochs}",
        f"{run.float.minutes():.0f}",
        f"{outcome.accuracy[recipe.labels]:.2%}",
        f"{found['accuracy']:.2%}",
        f"{found['accuracy_leak_free']:.2%}",
        f"{mean(one['recall'] for one in found['per_class'].values()):.2%}",
    )
    return f"| `{name}` | {' | '.join(cells)} |"


def main() -> None:
    """Train and print, row by row."""
    which, data, runs, *show = sys.argv[1:]
    head = ("as it is", *CORRUPTIONS, "all 75") if which == "augmentation" else HEAD
    print(f"| | {' | '.join(head)} |", "| --- " * (len(head) + 1) + "|", sep="\n")
    for name, options in TABLES[which].items():
        run = Run(Path(runs) / name)
        if not show:
            train(options, data, run)
        print(row(which, name, data, run), flush=True)


if __name__ == "__main__":
    main()
