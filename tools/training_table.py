"""Tables of several trainings: the networks of the seeds, and ways to balance labels.

    python tools/training_table.py seeds|balance DIR RUNS [--show]

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
TABLES = {
    "seeds": {name: ["--recipe", name] for name in SEEDS},
    "balance": {kind: [*ALONE, "--set", f"fit.balance={kind}"] for kind in BALANCES},
}
HEAD = "| | epochs | minutes | PublicTest | PrivateTest | leak-free | mean recall |"


def edgefer(*words: str) -> str:
    """Run the command; return what it prints."""
    command = [sys.executable, "-m", "edgefer.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def train(options: list[str], data: str, run: Run) -> None:
    """Train unless that is done."""
    if run.float.outcome() is None:
        begun = ["--resume"] if run.record_file.exists() else []
        edgefer("train", *options, "--data", data, "--out", str(run.folder), *begun)


def row(name: str, data: str, run: Run) -> str:
    """Return a training's row, by its float model."""
    outcome = run.float.outcome()
    if outcome is None:
        done = len(run.float.rows())
        return f"| `{name}` | {f'{done} so far' if done else 'not trained here'} | | | | | |"
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
    print(HEAD, "| --- | --- | --- | --- | --- | --- | --- |", sep="\n")
    for name, options in TABLES[which].items():
        run = Run(Path(runs) / name)
        if not show:
            train(options, data, run)
        print(row(name, data, run), flush=True)


if __name__ == "__main__":
    main()
