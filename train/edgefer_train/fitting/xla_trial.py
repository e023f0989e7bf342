"""Whether XLA makes a training step faster on this machine, by trying it."""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
import time

import msgspec
import numpy as np
import tf_keras as keras

from edgefer_train.architectures import build

log = logging.getLogger(__name__)

STEPS = 5
"""Of each kind that are timed, after one that compiles."""
PATIENCE = 300.0
"""Seconds for both kinds; XLA compiles the largest nets for a minute."""


@functools.cache
def is_faster_by_xla(architecture: str, side: int, batch_size: int) -> bool:
    """Time steps of a net of random weights without XLA and with it, and log both.

    That is done in a process of its own, so that the training's random numbers, names and memory
    are what they are without it. A trial that fails says no.
    """
    log.info("trying a step of %s with XLA", architecture)
    words = [sys.executable, "-m", __name__, architecture, str(side), str(batch_size)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            words, env=environment, capture_output=True, timeout=PATIENCE, check=True
        )
        plain, compiled = msgspec.json.decode(
            done.stdout.splitlines()[-1], type=tuple[float, float]
        )
    except (subprocess.SubprocessError, OSError, IndexError, msgspec.DecodeError) as exc:
        said = getattr(exc, "stderr", None) or b""
        why = said.decode(errors="replace").strip().splitlines()[-1:] or [str(exc)]
        log.info("no XLA: the trial did not end well: %s", why[0])
        return False
    log.info("a step of %s takes %.2f s, with XLA %.2f s", architecture, plain, compiled)
    return compiled < plain


def seconds_a_step(architecture: str, side: int, batch_size: int, xla: bool) -> float:
    """Return the median time of a step on noise, s."""
    model = build(architecture, {"one": 7}, side)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss, jit_compile=xla)
    random = np.random.default_rng(0)
    images = random.random((batch_size, *model.input_shape[1:]), np.float32)
    labels = random.integers(0, 7, batch_size)
    times = []
    for _ in range(1 + STEPS):
        begun = time.perf_counter()
        model.train_on_batch(images, labels)
        times.append(time.perf_counter() - begun)
    return float(np.median(times[1:]))


if __name__ == "__main__":
    net, pixels, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    found = tuple(seconds_a_step(net, pixels, batch, xla) for xla in (False, True))
    print(msgspec.json.encode(found).decode())
