"""How often the gate's calibration check fails a model that is calibrated, by number of images.

    python tools/gate_by_chance.py

Predictions are drawn at random, labels from the predictions: the true calibration error is 0.
"""

from __future__ import annotations

import numpy as np

from edgefer.gate_limits import GateLimits
from edgefer.metrics import calibration_error, error_by_chance

DRAWS = 200


def main() -> None:
    """Print a row for each number of images."""
    limit, random = GateLimits().calibration_error, np.random.default_rng(0)
    print(
        "| images | over the limit | fails: its interval is over the limit |\n| --- | --- | --- |"
    )
    for images in (150, 500, 3589):
        over = failed = 0
        for _ in range(DRAWS):
            probabilities = random.dirichlet([0.5] * 7, images).astype(np.float32)
            upper = probabilities.cumsum(-1)[:, :-1]
            labels = (random.random((images, 1)) > upper).sum(-1)
            error = calibration_error(probabilities, labels)
            over += error > limit
            failed += error > limit and error - error_by_chance(probabilities, 50) > limit
        print(f"| {images:,} | {over / DRAWS:.0%} | {failed / DRAWS:.0%} |", flush=True)


if __name__ == "__main__":
    main()
