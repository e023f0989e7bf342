"""The verbs of `edgefer dev` that measure the device's own parts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.options import (
    DETECTORS,
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
    from edgefer_device.bench.measurement import Request

log = logging.getLogger(__name__)

SWEEPS = click.Choice(["threads", "resolution", "faces", "rate"])
"""As `sweep.SWEEPS`, which would load what it times."""


@click.command()
@data_option
@click.option("--detector", "detectors", type=DETECTORS, multiple=True, help="Only this detector.")
@model_option
@click.option("--part", type=click.Choice(["PublicTest", "PrivateTest"]), default="PublicTest")
@click.option("--count", type=click.IntRange(min=1), help="Only a random sample of this size.")
@click.option("--scene", metavar="URI", help="Also paste them into a camera's first frame.")
@json_option
def faces(
    data: Path | None,
    detectors: tuple[str, ...],
    model: str | None,
    part: str,
    count: int | None,
    scene: str | None,
    as_json: bool,
) -> None:
    """Measure how each detector affects accuracy, by FER2013 and photographs."""
    from edgefer.messages import to_json
    from edgefer_device.bench import detector_accuracy, detector_survey

    if data is None:
        raise click.UsageError("name the folder with fer2013.npz or fer2013.csv: --data FOLDER")
    survey = detector_survey.Survey(data, detectors, model, part, count, scene)
    done = detector_survey.measure(survey)
    click.echo(to_json(done) if as_json else "\n".join(detector_accuracy.describe(done)))


@click.command()
@model_option
@short_option
@json_option
def peak(model: str | None, short: bool, as_json: bool) -> None:
    """Compare the classifier's int8 arithmetic with a large convolution's."""
    from edgefer.messages import to_json
    from edgefer_device.bench.measurement import Request, open_requested
    from edgefer_device.bench.peak import describe, measure_peak

    done = measure_peak(open_requested(Request(model or "small")), short)
    click.echo(to_json(done) if as_json else describe(done))


@click.command()
@click.argument("kinds", nargs=-1, required=True, type=SWEEPS, metavar="KIND...")
@grouped(
    "request",
    "edgefer_device.bench.measurement:Request",
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
    from edgefer.messages import to_json
    from edgefer_device.bench import plot as plots
    from edgefer_device.bench.sweep import beyond, measure_sweeps
    from edgefer_device.bench.view import show_sweep

    if plot is not None:
        plots.check_plot(plot)
    done = measure_sweeps(request, kinds)
    for one in done:
        click.echo(to_json(one)) if as_json else show_sweep(one)
        for line in beyond(one):
            log.warning("%s", line)
    if plot is not None:
        plots.write_plot(plot, plots.draw_sweeps(done))
