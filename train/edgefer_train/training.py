"""A training as the command and notebooks start it: from a choice of recipe and a dataset."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgefer.errors import RunError
from edgefer_train.data.sources import labels_in, load, split_in
from edgefer_train.evaluation.candidate import open_candidate
from edgefer_train.recipe import Choice
from edgefer_train.run import Run, Stage

log = logging.getLogger(__name__)


def train(
    chosen: Choice,
    data: Path | None,
    out: Path,
    resume: bool = False,
    strategy: str = "none",
    xla: bool | None = None,
) -> Run:
    """Train a float model into the folder `out`, and log how good it is.

    A resumed run keeps its own recipe unless the choice names one; `xla` is as in `fit`. What
    starts from a bundle or a run is compared with it on held-out images. Raises `SettingsError`,
    `DatasetError`, `RunError` and `BundleError`.
    """
    before = Run(out).record_if_any() if resume else None
    if chosen.start:
        chosen, before = _started(chosen, data), None
    name = chosen.name or (before.recipe_name if before else "small")
    recipe = chosen.apply(before.recipe if before and not chosen.name else None)
    dataset = load(data, recipe.labels, recipe.split, recipe.side)
    # TensorFlow loads after all that can be refused without it.
    from edgefer_train.fitting.fit import fit
    from edgefer_train.fitting.strategy import from_name

    with continued_by(f"edgefer train --resume --out {out}"):
        done = fit(recipe, Path(name).stem, dataset, out, resume, from_name(strategy), xla)
    accuracy = public_accuracy(done.float, recipe.labels)
    log.info("%s: trained, %s; next: edgefer quantize --run %s", done.folder, accuracy, done.folder)
    if chosen.start:
        from edgefer_train.evaluation.against_start import against_start

        log.info("%s", against_start(done, chosen.start, dataset))
    return done


def quantize(folder: Path, data: Path | None) -> None:
    """Fine-tune a run's float model for int8, and log how good it is; raise as `train`."""
    work = Run(folder)
    work.model(work.float)
    recipe = work.record().recipe
    dataset = load(data, recipe.labels, recipe.split, recipe.side)
    from edgefer_train.quantization.quantize import quantize as fine_tune

    with continued_by(f"edgefer quantize --run {folder}"):
        fine_tune(work, dataset)
    scores = [public_accuracy(stage, recipe.labels) for stage in (work.qat, work.float)]
    log.info("%s: quantized, %s, float %s; next: edgefer convert --run %s",
             folder, *scores, folder)  # fmt: skip


def _started(chosen: Choice, data: Path | None) -> Choice:
    """Return the choice with the architecture and the weights of what it starts from."""
    facts = open_candidate(str(chosen.start)).facts
    own = (f"labels={labels_in(data)}", f"split={split_in(data)}") if chosen.name is None else ()
    return chosen.started_from(facts.architecture, facts.side, own)


@contextmanager
def continued_by(command: str) -> Iterator[None]:
    """End a training that the user interrupts with what continues it."""
    try:
        yield
    except KeyboardInterrupt:
        raise RunError(f"interrupted; continue it with: {command}") from None


def public_accuracy(stage: Stage, head: str) -> str:
    """Say how a finished stage does on PublicTest."""
    outcome = stage.outcome()
    return f"{outcome.accuracy[head]:.2%} on PublicTest" if outcome else "not measured"


def train_and_quantize(data: Path, out: Path, resume: bool, **chosen: Any) -> None:
    """Train and quantize; `chosen` are the fields of a `Choice`."""
    train(Choice(**chosen), data, out, resume)
    quantize(out, data)
