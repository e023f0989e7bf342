"""Measure a model's heads, and both together, by FER2013's labels and by FER+'s majority.

PYTHONPATH=edge:train python tools/compare_heads.py DIR [BUNDLE...]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgefer.bundle import open_bundle
from edgefer.labels import BOTH, FER2013
from edgefer.runtime import open_classifier
from edgefer_train.data.dataset import Usage
from edgefer_train.data.sources import load
from edgefer_train.evaluation.evaluate import classify_all


def main(data: Path, names: list[str]) -> None:
    """Print a row for each model, part and reading: accuracy and macro recall, percent.

    FER+'s majority counts where it is one of FER2013's seven, and contempt is never predicted.
    """
    dataset = load(data)
    print("| model | part | read by | FER2013's labels | FER+ majority | mean recall |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in names:
        bundle = open_bundle(name)
        for part in (Usage.PublicTest, Usage.PrivateTest):
            faces, view = dataset.part(part), dataset.with_labels("ferplus")
            rows, voted = view.rows_in(dataset, part), view.part(part).labels
            seven = np.array([label in FER2013 for label in view.labels])[voted]
            majority = np.array([FER2013.index(view.labels[one]) for one in voted[seven]])
            logits = classify_all(open_classifier(bundle), faces.images, f"{name}, {part.name}")
            for labels in (*bundle.manifest.label_sets, BOTH):
                decoder = bundle.manifest.decoder(labels)
                columns = [decoder.labels.index(label) for label in FER2013]
                found = decoder.logits(logits)[:, columns].argmax(-1)
                own, other = found == faces.labels, found[rows[seven]] == majority
                recalls = [other[majority == label].mean() for label in range(len(FER2013))]
                print(
                    f"| {name} | {part.name} | {labels} | {own.mean():.2%} | {other.mean():.2%} "
                    f"| {np.mean(recalls):.2%} |"
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or ["small", "tiny"])
