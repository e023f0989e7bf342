"""Keras callbacks of a fit: progress, the best average, checkpoints, the plateau schedule."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from edgefer.console import progress_bar
from edgefer.errors import RunError
from edgefer.files import write_atomic
from edgefer_train.fitting.curves import draw_curves
from edgefer_train.recipe import Fit
from edgefer_train.run import Stage, save_weights

log = logging.getLogger(__name__)

TRIAL = 10.0
"""Seconds of steps from which the time to expect is told."""


class ProgressBar(keras.callbacks.Callback):
    """Shows batches as a bar, leaves one line an epoch and, once, the time to expect."""

    def __init__(self, epochs: int, steps: int, done: int = 0) -> None:
        super().__init__()
        self.progress = progress_bar()
        self.epochs = epochs
        self.total = epochs * steps
        self.done = done
        self.ends: list[float] | None = []
        """Moments, seconds, at which steps ended, until the time to expect is told."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Show the bar, in the context of `progress`."""
        self.task = self.progress.add_task("training", total=self.total, completed=self.done)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the bar."""
        self.progress.advance(self.task)
        self.done += 1
        if self.ends is not None:
            self.ends.append(time.monotonic())
            # The first steps compile.
            timed = self.ends[2:]
            if timed and timed[-1] - timed[0] >= TRIAL:
                step = (timed[-1] - timed[0]) / (len(timed) - 1)
                left = step * (self.total - self.done)
                log.info("%.3g s a step: about %s to go", step, _in_words(left))
                self.ends = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Leave the epoch's figures above the bar."""
        values = "  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        self.progress.console.print(f"epoch {epoch + 1}/{self.epochs}  {values}", highlight=False)


class BestCheckpoint(keras.callbacks.Callback):
    """After each epoch: validates the averaged weights, keeps the best, saves all to resume.

    Within a long epoch it saves every `checkpoint_minutes`; the figures on Training of an epoch
    that was resumed in its middle are of its rest.

    Everything that a resumed fit needs is in one checkpoint: weights, optimizer
    (momentum, step, moving average), epoch and the best accuracy so far. A loss that is no
    number ends the fit before it is kept.
    """

    def __init__(self, stage: Stage, validation: Any, metric: str, how: Fit) -> None:
        super().__init__()
        self.stage = stage
        self.how = how
        self.validation = validation
        self.metric = metric
        self.epoch = tf.Variable(0, dtype=tf.int64)
        self.best = tf.Variable(-1.0)

    def restore(self, model: Any, steps: int) -> tuple[int, int]:
        """Load the last checkpoint, if there is one.

        Returns the number of epochs done, and of the steps done of the next one, of `steps`.
        """
        model.optimizer.build(model.trainable_variables)
        state = tf.train.Checkpoint(
            model=model, optimizer=model.optimizer, epoch=self.epoch, best=self.best
        )
        folder = str(self.stage.checkpoint)
        self.manager = tf.train.CheckpointManager(state, folder, max_to_keep=1)
        if self.manager.latest_checkpoint:
            state.restore(self.manager.latest_checkpoint).assert_existing_objects_matched()
        epochs = int(self.epoch.numpy())
        return epochs, int(model.optimizer.iterations.numpy()) - epochs * steps

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start the epoch's clock."""
        self.began = self.saved = time.monotonic()
        self.at = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """End a fit that diverges, save one that has long not been."""
        self._require_finite(logs, f"step {batch + 1}")
        if time.monotonic() - self.saved >= 60 * self.how.checkpoint_minutes:
            self.manager.save()
            self.saved = time.monotonic()

    def _require_finite(self, logs: Any, place: str) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            table = {"float": "fit", "qat": "quantize"}.get(self.stage.name, self.stage.name)
            raise RunError(
                f"the loss is {loss} in epoch {self.at}, {place}: the training diverged; set a "
                f"lower {table}.learning_rate than {self.how.learning_rate:g} by --set or in the "
                "recipe, and train into another folder"
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Validate the averaged weights, keep them if they are the best, log and save all."""
        logs = {} if logs is None else logs
        with averaged_weights(self.model):
            scores = self.model.evaluate(self.validation, verbose=0, return_dict=True)
            self._require_finite(scores, "on PublicTest")
            if scores[self.metric] > float(self.best.numpy()):
                self.best.assign(scores[self.metric])
                save_weights(self.model, self.stage.weights)
        logs.update({f"val_{name}": value for name, value in scores.items()})
        self.epoch.assign(epoch + 1)
        seconds = round(time.monotonic() - self.began, 2)
        self.stage.add_row({"epoch": epoch + 1, "seconds": seconds, **logs})
        title = f"{self.model.name}, {self.stage.name}"
        write_atomic(self.stage.history.with_suffix(".png"), draw_curves(self.stage, title))
        self.manager.save()


class LearningRateSchedule(keras.callbacks.Callback):
    """Sets the next epoch's rate on a plateau schedule, and ends a fit that learns no more."""

    def __init__(self, stage: Stage, how: Fit, metric: str) -> None:
        super().__init__()
        self.stage = stage
        self.how = how
        self.metric = metric

    def scores(self) -> list[float]:
        """Return what is monitored after each epoch so far, the more the better."""
        sign = -1 if self.metric.endswith("loss") else 1
        return [sign * float(row[self.metric]) for row in self.stage.rows()]

    def ended(self) -> bool:
        """Return whether early stopping has ended the fit."""
        return has_ended(self.scores(), self.how)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the rate that the history asks for."""
        if self.how.schedule == "plateau":
            self.model.optimizer.learning_rate.assign(rate_after(self.scores(), self.how))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop where that is due; `BestCheckpoint`, which writes the history, must come first."""
        self.model.stop_training = self.ended()


def _in_words(seconds: float) -> str:
    """Return a duration as `2 h 10 min`."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def waits(scores: Sequence[float], min_delta: float = 0.0) -> list[int]:
    """Return after each epoch's score how many epochs ago one was better than all before it.

    From the whole history, so that a resumed fit needs no memory of its own.
    """
    best, waited, all_waits = -math.inf, 0, []
    for score in scores:
        better = score > best + min_delta
        waited, best = (0, score) if better else (waited + 1, best)
        all_waits.append(waited)
    return all_waits


def rate_after(scores: Sequence[float], how: Fit) -> float:
    """Return the rate of the next epoch on a plateau schedule, from each epoch's score so far."""
    falls, since = 0, 0
    for waited in waits(scores, how.min_delta):
        since = 0 if waited == 0 else since + 1
        if since >= how.plateau_patience:
            falls, since = falls + 1, 0
    return how.learning_rate * how.plateau_factor**falls


def has_ended(scores: Sequence[float], how: Fit) -> bool:
    """Return whether early stopping ends the fit after these epochs' scores."""
    waited = [0, *waits(scores, how.min_delta)][-1]
    return 0 < how.early_stopping <= waited


class TensorBoard(keras.callbacks.Callback):
    """Writes each epoch's figures for TensorBoard; a resumed fit adds a file of events."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(stage.tensorboard))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the figures."""
        with self.writer.as_default(step=epoch + 1):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, value)
        self.writer.flush()


@contextmanager
def averaged_weights(model: Any) -> Iterator[None]:
    """Put the optimizer's moving average in the place of the model's weights, and back."""
    averages = getattr(model.optimizer, "_model_variables_moving_average", None)
    pairs = list(zip(model.trainable_variables, averages or [], strict=bool(averages)))
    _swap(pairs)
    try:
        yield
    finally:
        _swap(pairs)


def _swap(pairs: Sequence[tuple[Any, Any]]) -> None:
    """Exchange by copies: assigned as they are, the two would share one buffer,
    which a step compiled by XLA then overwrites in place."""
    for weight, average in pairs:
        kept = np.array(weight.numpy())
        weight.assign(np.array(average.numpy()))
        average.assign(kept)
