"""The fine-tuning table of docs/train.md: three classes by few images, from `tiny`.

    python tools/finetune_table.py DIR runs

Training images are those of PublicTest, which `tiny` was not trained on; the test is PrivateTest.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from edgefer.labels import FER2013
from edgefer_train.run import Run

COUNTS = (20, 100, 500)
CLASSES = {
    "Bright": ("happy", "surprise"),
    "Calm": ("neutral",),
    "Low": ("angry", "disgust", "fear", "sad"),
}
TEST = 300
"""Images a class."""
SHORT = ["--epochs", "8", "--set", "head.epochs=5"]
"""A fifth of what `finetune` has: two cores, and much other work on them."""


def write_folders(data: Path, out: Path, count: int) -> None:
    """Write train/ and test/ with `count` and `TEST` images a class."""
    with np.load(data / "fer2013.npz") as arrays:
        images, labels, usage = arrays["images"], arrays["labels"], arrays["usage"]
    for part, kept, size in (("train", 1, count), ("test", 2, TEST)):
        for name, members in CLASSES.items():
            folder = out / part / name
            folder.mkdir(parents=True, exist_ok=True)
            mine = np.isin(labels, [FER2013.index(label) for label in members]) & (usage == kept)
            for row in np.flatnonzero(mine)[:size]:
                cv2.imwrite(str(folder / f"{row}.png"), images[row])


def trained(words: list[str], data: Path, out: Path) -> str:
    """Train unless that is done; return the accuracy on the test images with its interval."""
    run, place = Run(out), ["--data", str(data)]
    if not run.float.outcome():
        resume = ["--resume"] if run.record_file.exists() else []
        edgefer("train", *words, *place, "--out", str(out), *resume)
    report = json.loads(edgefer("evaluate", str(out), *place, "--format", "float", "--json"))
    low, high = (100 * end for end in report["accuracy_interval"])
    return f"{100 * report['accuracy']:.1f} % ({low:.1f} to {high:.1f})"


def edgefer(*words: str) -> str:
    """Run the command; return what it prints."""
    command = [sys.executable, "-m", "edgefer.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Write the images, train what is not trained yet, print the table."""
    data, runs = map(Path, sys.argv[1:])
    print("| images a class | right of 900 held-out images |\n| --- | --- |")
    for count in COUNTS:
        folder = runs / f"images-{count}"
        write_folders(data, folder, count)
        found = trained(["--from", "tiny", *SHORT], folder, runs / f"tiny-{count}")
        print(f"| {count} | {found} |", flush=True)


if __name__ == "__main__":
    main()
