"""The verbs of `edgefer dev` that measure the device's own parts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.console import say
from edgefer.options import (
    DETECTORS,
    FILE,
    data_option,
    detector_option,
    grouped,
    json_option,
    model_option,
    plot_option,
)
from edgefer_device.commands.bench import (
    camera_option,
    runtime_option,
    short_option,
    threads_option,
)

if TYPE_CHECKING:
    from edgefer_device.bench.components import Request

log = logging.getLogger(__name__)

SWEEPS = click.Choice(["threads", "resolution", "faces", "rate"])
"""As `sweep.SWEEPS`, which would load what it times."""
DATA_WANTED = "name the folder with photos, clips and FER2013: --data FOLDER"


@click.command()
@data_option
@click.option("--detector", "detectors", type=DETECTORS, multiple=True, help="Only this detector.")
@click.option("--count", type=click.IntRange(min=1), help="Only so many faces of each height.")
@json_option
def faces(data: Path | None, detectors: tuple[str, ...], count: int | None, as_json: bool) -> None:
    """Measure which faces are found, by their height."""
    from edgefer.messages import to_json
    from edgefer_device.bench.lab import face_sizes

    if data is None:
        raise click.UsageError(DATA_WANTED)
    done = face_sizes.measure(face_sizes.FacesRequest(data, detectors, count))
    say(*([to_json(done)] if as_json else face_sizes.describe(done)))


@click.command()
@data_option
@click.option("--clip", "clips", type=FILE, multiple=True, help="Also this clip.")
@model_option
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Sequences of each draw.",
)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--mirrored", is_flag=True, help="Mirror every second face crop.")
@json_option
def mood(
    data: Path | None,
    clips: tuple[Path, ...],
    model: str | None,
    count: int,
    seed: int,
    mirrored: bool,
    as_json: bool,
) -> None:
    """Measure how soon, how calm and how right moods are."""
    from edgefer.messages import to_json
    from edgefer_device.bench.lab import mood_dynamics

    if data is None:
        raise click.UsageError(DATA_WANTED)
    done = mood_dynamics.measure(
        mood_dynamics.MoodRequest(data, clips, model, count, seed, mirrored)
    )
    say(*([to_json(done)] if as_json else mood_dynamics.describe(done)))


@click.command()
@data_option
@model_option
@click.option(
    "--people", type=click.IntRange(min=1), default=200, show_default=True, help="To draw."
)
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def calibration(
    data: Path | None, model: str | None, people: int, seed: int, as_json: bool
) -> None:
    """Measure what `edgefer enroll` gains, and costs others."""
    from edgefer.messages import to_json
    from edgefer_device.bench.lab import own_calibration as lab

    if data is None:
        raise click.UsageError(DATA_WANTED)
    done = lab.measure(lab.OwnCalibrationRequest(data, model, people, seed))
    say(*([to_json(done)] if as_json else lab.describe(done)))


@click.command()
@data_option
@model_option
@click.option(
    "--count", type=click.IntRange(min=1), default=500, show_default=True, help="Faces of FER2013."
)
@json_option
def light(data: Path | None, model: str | None, count: int, as_json: bool) -> None:
    """Measure what darkness, back light and lamps cost."""
    from edgefer.messages import to_json
    from edgefer_device.bench.lab import light as lights

    if data is None:
        raise click.UsageError(DATA_WANTED)
    done = lights.measure(lights.LightRequest(data, model, count))
    say(*([to_json(done)] if as_json else lights.describe(done)))


@click.command()
@model_option
@short_option
@json_option
def peak(model: str | None, short: bool, as_json: bool) -> None:
    """Compare int8 speed with a large convolution."""
    from edgefer.bundle import open_bundle
    from edgefer.messages import to_json
    from edgefer_device.bench.lab.peak import measure_peak

    done = measure_peak(open_bundle(model or "small"), short)
    say(to_json(done) if as_json else done.describe())


@click.command()
@click.argument("kinds", nargs=-1, required=True, type=SWEEPS, metavar="KIND...")
@grouped(
    "request",
    "edgefer_device.bench.components:Request",
    click.option("--model", "bundle", metavar="BUNDLE", default="small", show_default=True),
    runtime_option,
    threads_option,
    detector_option,
    camera_option,
    short_option,
)
@json_option
@plot_option
def sweep(kinds: tuple[str, ...], request: Request, as_json: bool, plot: Path | None) -> None:
    """Time how the cost grows: threads, resolution, faces, rate."""
    from edgefer.files import write_output
    from edgefer.messages import to_json
    from edgefer_device.bench import plot as plots
    from edgefer_device.bench.lab.sweep import measure_sweeps
    from edgefer_device.bench.lab.sweep_view import draw_sweeps, show_sweeps

    if plot is not None:
        plots.check_plot(plot)
    done = measure_sweeps(request, kinds)
    say(to_json(done)) if as_json else show_sweeps(done)
    for line in done.warnings:
        log.warning("%s", line)
    if plot is not None:
        write_output(plot, draw_sweeps(done))
