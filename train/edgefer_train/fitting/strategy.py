"""Fitting one model by several replicas: the devices of a machine, or several machines.

What decides a step is drawn for the whole batch and then shared, so a group follows the
curve that one process follows: faces and their augmentation (`batches`), dropout
(`compiling`), and the statistics of batch normalization. All workers do the same work; only
the first one keeps what comes of it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tensorflow as tf
import tf_keras as keras

from edgefer.console import FallbackWarning
from edgefer.errors import EdgeferError, RunError, SettingsError
from edgefer_train.fitting.batches import Shard, shard_size
from edgefer_train.fitting.cluster import ending_at_once, read_cluster, wait_for_others
from edgefer_train.recipe import Recipe
from edgefer_train.run import Record, Run

log = logging.getLogger(__name__)

KNOWN = (
    "none, mirrored, mirrored:N (N devices), multiworker and multiworker:M "
    "(waits M minutes for the others)"
)
MINUTES = re.compile(r"\d{1,5}(\.\d{1,3})?")
WAIT_MINUTES = 10


class StartMessage(msgspec.Struct, frozen=True):
    """Message of the first worker to the others before a fit begins."""

    refusal: str = ""
    """Why there is nothing to do; empty where there is."""
    files: dict[str, bytes] = {}
    """Of the training's folder, by their paths in it: all that a resumed fit reads."""


@dataclass(frozen=True)
class ReplicaGroup:
    """The replicas that fit one model together, as one of their processes sees them."""

    strategy: Any
    """A `tf.distribute.Strategy`; the default one is a single replica."""
    worker: int = 0
    workers: int = 1

    @property
    def replicas(self) -> int:
        """Number of replicas of all workers."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def is_chief(self) -> bool:
        """Whether this process keeps what comes of the fit."""
        return self.worker == 0

    def require_equal_parts(self, recipe: Recipe) -> None:
        """Raise `SettingsError` when the recipe's batches cannot be shared."""
        shard_size(recipe.fit.batch_size, Shard(of=self.replicas), recipe.augment)

    def distribute(self, make: Callable[..., Any]) -> Any:
        """Return a training stream that gives each replica its part of each batch.

        `make` is called with `shard`, a `Shard`, and returns a `tf.data.Dataset`.
        """
        if self.replicas == 1:
            return make(shard=Shard())

        def of_worker(context: Any) -> Any:
            count = self.replicas // context.num_input_pipelines
            return make(shard=Shard(context.input_pipeline_id * count, count, self.replicas))

        return self.strategy.distribute_datasets_from_function(of_worker)

    def synchronize(self, model: Any) -> None:
        """Let batch normalization measure the whole batch; the saved model stays as it was.

        The fused kernel cannot. It also scales the variance that it remembers by n / (n - 1),
        n values a channel, which this does not: less than 0.1 % of it.
        """
        if self.replicas == 1:
            return
        for layer in model.submodules:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized, layer.fused = True, False

    @contextlib.contextmanager
    def run_dir(self, out: Path) -> Iterator[Path]:
        """Give the folder to write in: `out` to the first worker, to others one that goes away.

        Raises `RunError` when a worker is lost on the way.
        """
        with contextlib.ExitStack() as stack:
            folder = out
            if not self.is_chief:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgefer-")))
            try:
                yield folder
                # None leaves before all are done: the others would take it for lost.
                self.sum_over_workers(0)
            except tf.errors.OpError as exc:
                if self.workers == 1:
                    raise
                raise RunError(
                    f"worker {self.worker} has lost the others; start all of them again "
                    "with --resume"
                ) from exc

    def start(self, run: Run, record: Record, resume: bool) -> None:
        """Claim the run's folder, and give every worker what is in it.

        Raises `RunError` on all workers when the first one cannot have the folder, or when
        the workers do not agree on recipe and dataset.
        """
        if self.workers == 1:
            run.start(record, resume)
            return
        message = msgspec.msgpack.decode(
            self.broadcast(msgspec.msgpack.encode(self._start_message(run, record, resume))),
            type=StartMessage,
        )
        if message.refusal:
            prefix = "" if self.is_chief else "the first worker refuses: "
            raise RunError(prefix + message.refusal)
        self._require_same_run(run, record, message)

    def _start_message(self, run: Run, record: Record, resume: bool) -> StartMessage:
        if not self.is_chief:
            return StartMessage()
        try:
            run.start(record, resume)
        except EdgeferError as exc:
            return StartMessage(refusal=str(exc))
        paths = [run.record_file]
        for stage in (run.head, run.float):
            paths += [stage.history, stage.weights, *stage.checkpoint.glob("*")]
        found = {str(path.relative_to(run.folder)): path for path in paths if path.is_file()}
        return StartMessage(files={name: path.read_bytes() for name, path in found.items()})

    def _require_same_run(self, run: Run, record: Record, message: StartMessage) -> None:
        differs = False
        if not self.is_chief:
            for name, content in message.files.items():
                (run.folder / name).parent.mkdir(exist_ok=True)
                (run.folder / name).write_bytes(content)
            first = run.record()
            differs = (first.recipe, first.fingerprint) != (record.recipe, record.fingerprint)
        others = self.sum_over_workers(differs)
        if others:
            raise RunError(
                f"{others} of {self.workers} workers have another recipe or dataset than the "
                "first; start all with the same --recipe and --data"
            )

    def broadcast(self, message: bytes) -> bytes:
        """Return the first worker's message on every worker."""
        mine = message if self.is_chief else b""
        length = self.sum_over_workers(len(mine))
        words = np.zeros(-(-length // 4), np.int32)
        words.view(np.uint8)[: len(mine)] = np.frombuffer(mine, np.uint8)
        return self._sum(words).tobytes()[:length]

    def sum_over_workers(self, value: int) -> int:
        """Return the sum of all workers' values; waits for all of them."""
        return int(self._sum(np.array([value], np.int64))[0])

    def _sum(self, values: np.ndarray) -> np.ndarray:
        if self.workers == 1:
            return values
        local = self.replicas // self.workers

        def of_replica(values: Any) -> Any:
            context = tf.distribute.get_replica_context()
            # Each worker counts once, however many devices it has.
            counts = tf.equal(context.replica_id_in_sync_group % local, 0)
            mine = tf.where(counts, values, tf.zeros_like(values))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)

        summed = tf.function(lambda values: self.strategy.run(of_replica, args=(values,)))
        results = self.strategy.experimental_local_results(summed(tf.constant(values)))
        return np.asarray(results[0])


def single() -> ReplicaGroup:
    """Return this process as its own group."""
    return ReplicaGroup(tf.distribute.get_strategy())


def from_name(name: str) -> ReplicaGroup:
    """Return the group of a strategy's name; must come before TensorFlow's first operation.

    `none` is this process; `mirrored` every GPU of this machine, `mirrored:N` the first N of
    them, or where there are none the processor as N devices, for a rehearsal; `multiworker`
    all processes that TF_CONFIG names, for which it waits ten minutes, `multiworker:M` M minutes.
    Raises `SettingsError`, and `RunError` when one does not come.
    """
    kind, _, count = name.partition(":")
    if kind == "mirrored" and (not count or (count.isdecimal() and int(count) > 0)):
        return _mirrored(int(count) if count else None)
    if kind == "multiworker" and (not count or MINUTES.fullmatch(count)):
        return _multiworker(float(count or WAIT_MINUTES))
    if name != "none":
        raise SettingsError(f"unknown strategy '{name}'; known: {KNOWN}")
    return single()


def _mirrored(count: int | None) -> ReplicaGroup:
    if os.environ.get("TF_CONFIG"):
        raise SettingsError(
            "--strategy mirrored is for one machine, and TF_CONFIG names several; "
            "unset it or choose multiworker"
        )
    gpus = tf.config.list_physical_devices("GPU")
    if gpus and count and count > len(gpus):
        raise SettingsError(f"--strategy mirrored:{count}: this machine has {len(gpus)} GPUs")
    if not gpus and not count:
        warnings.warn(
            FallbackWarning("--strategy mirrored: no GPU here, using one process"), stacklevel=3
        )
        return single()
    if not gpus:
        processor = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * (count or 1)
        tf.config.set_logical_device_configuration(processor, parts)
    kind = "GPU" if gpus else "CPU"
    devices = [f"{kind}:{at}" for at in range(count or len(gpus))]
    return ReplicaGroup(tf.distribute.MirroredStrategy(devices))


def _multiworker(minutes: float) -> ReplicaGroup:
    cluster = read_cluster()
    wait_for_others(cluster, minutes)
    try:
        with ending_at_once(minutes):
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError, ValueError) as exc:
        first_line = str(exc).partition("\n")[0]
        raise SettingsError(f"the workers of TF_CONFIG cannot join: {first_line}") from exc
    return ReplicaGroup(strategy, cluster.worker, cluster.workers)
