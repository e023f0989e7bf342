"""The optimizer of a fit and how its rate goes on: pure functions of recipe and history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tf_keras as keras

from edgefer_train.recipe import Fit


def optimizer_of(how: Fit, steps_per_epoch: int) -> Any:
    """Return the Keras optimizer of a recipe; its moving average of weights included."""
    average = {"use_ema": how.average > 0, "ema_momentum": how.average or 0.99}
    rate = _cosine(how, steps_per_epoch) if how.schedule == "cosine" else how.learning_rate
    if how.optimizer == "adam":
        optimizer = keras.optimizers.Adam(rate, weight_decay=how.weight_decay or None, **average)
    else:
        optimizer = keras.optimizers.SGD(
            rate,
            momentum=0.9,
            nesterov=True,
            # Decoupled from the momentum: ten times the figure that coupled decay would need.
            weight_decay=10 * how.weight_decay or None,
            **average,
        )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def _cosine(how: Fit, steps_per_epoch: int) -> Any:
    steps = how.epochs * steps_per_epoch
    # A recipe may be run for less than its warm-up.
    warmup = min(round(how.warmup_epochs * steps_per_epoch), steps // 2)
    return keras.optimizers.schedules.CosineDecay(
        0.0,
        steps - warmup,
        warmup_target=how.learning_rate,
        warmup_steps=warmup,
    )


def rate_after(scores: Sequence[float], how: Fit) -> float:
    """Return the rate of the next epoch on a plateau schedule, from each epoch's accuracy so far.

    From the whole history, so that a resumed fit needs no memory of its own.
    """
    rate, best, waited = how.learning_rate, -1.0, 0
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited >= how.plateau_patience:
            rate, waited = rate * how.plateau_factor, 0
    return rate


def has_ended(scores: Sequence[float], how: Fit) -> bool:
    """Return whether early stopping ends the fit after these epochs' accuracies."""
    if not how.early_stopping or not scores:
        return False
    best = max(range(len(scores)), key=scores.__getitem__)
    return len(scores) - 1 - best >= how.early_stopping
