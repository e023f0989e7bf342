"""The verbs of the device."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from edgefer.console import say
from edgefer.errors import EdgeferError
from edgefer.options import (
    FILE,
    FOLDER,
    PATH,
    Number,
    config_option,
    detector_option,
    json_option,
    model_option,
)

log = logging.getLogger(__name__)


@click.command()
@click.option("--config", type=FILE, help="Configuration, TOML; the options below override it.")
@click.option("--camera", metavar="URI", help="auto:, v4l2:, picamera2:, rtsp:, file:PATH, demo:")
@detector_option
@model_option
@click.option(
    "--sink",
    "sinks",
    multiple=True,
    metavar="URI",
    help="console:, jsonl:-, mqtt://HOST/TOPIC, mirror:",
)
@click.option("--frames", type=click.IntRange(min=1), help="Stop after this many frames.")
@click.option("--seconds", type=Number(min=0.1), help="Stop after this time.")
def run(
    config: Path | None,
    camera: str | None,
    detector: str | None,
    model: str | None,
    sinks: tuple[str, ...],
    frames: int | None,
    seconds: float | None,
) -> None:
    """Run the daemon: camera, model and sinks."""
    from edgefer_device.daemon import supervisor
    from edgefer_device.daemon.configuration import Config, load_config
    from edgefer_device.daemon.systemd import Notifier
    from edgefer_device.pipeline.runner import Limit

    chosen = {"camera": camera, "detector": detector, "model": model, "sinks": sinks or None}
    given = {key: value for key, value in chosen.items() if value is not None}

    def read() -> Config:
        return load_config(config, given)

    try:
        again = supervisor.run(read(), Limit(frames, seconds), reread=read)
    except EdgeferError as exc:
        Notifier().status(str(exc))  # systemd keeps it, and a kiosk shows it
        raise
    if again:
        supervisor.reexec()


@click.command()
@click.argument("images", nargs=-1, required=True, type=PATH, metavar="IMAGE...")
@detector_option
@model_option
@click.option(
    "--annotate",
    type=FOLDER,
    help="Also write each image with its faces marked, into this folder.",
)
@click.option("--cropped", is_flag=True, help="Each image is one face, cut out already.")
@click.option("--upright", is_flag=True, help="Turn images until their faces are upright.")
@json_option
def predict(
    images: tuple[Path, ...],
    detector: str | None,
    model: str | None,
    annotate: Path | None,
    cropped: bool,
    upright: bool,
    as_json: bool,
) -> None:
    """Predict the expressions in images.

    Exit status 1 if one could not be read.
    """
    from edgefer.errors import ImageError
    from edgefer.messages import to_json
    from edgefer_device.faces.opening import WHOLE
    from edgefer_device.predict.annotate import targets, write_annotated
    from edgefer_device.predict.images import describe, predictor

    if cropped and detector:
        raise click.UsageError("--cropped detects no faces: give it without --detector")
    written = targets(images, annotate) if annotate else {}
    predict_one = predictor(WHOLE if cropped else detector, model, upright)
    failed = False
    for image in images:
        try:
            prediction = predict_one(image)
        except ImageError as exc:
            log.error("%s", exc)
            failed = True
            continue
        say(to_json(prediction) if as_json else describe(prediction))
        if written:
            write_annotated(prediction, written[image])
    if failed:
        sys.exit(1)


@click.command()
@json_option
def cameras(as_json: bool) -> None:
    """List the cameras of this machine."""
    from edgefer.messages import to_json
    from edgefer_device.cameras import discovery

    found = discovery.find_cameras()
    if as_json:
        say(*map(to_json, found))
    else:
        discovery.show(found)
    if not any(camera.hardware for camera in found):
        log.warning("%s", discovery.HELP)


@click.command()
@config_option
@json_option
def doctor(config: Path | None, as_json: bool) -> None:
    """Check whether the daemon can run here.

    Exit status 1 if a check fails.
    """
    from edgefer.messages import to_json
    from edgefer_device.doctor.diagnosis import describe, diagnose

    done = diagnose(config)
    say(*([to_json(done)] if as_json else describe(done.checks)))
    if not done.ok:
        sys.exit(1)


@click.command()
@config_option
@click.option("--days", type=click.IntRange(1, 36_500), help="Only the last days.")
@click.option("--csv", "table", type=FILE, help="Write every minute to a CSV file.")
@click.option("--plot", type=FILE, help="Draw it as an SVG file.")
@click.option("--export", is_flag=True, help="Print every minute as a line of JSON.")
@click.option("--delete", is_flag=True, help="Delete all of it for good.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
def history(
    config: Path | None,
    days: int | None,
    table: Path | None,
    plot: Path | None,
    export: bool,
    delete: bool,
    yes: bool,
) -> None:
    """Show, export or delete the history of moods."""
    from edgefer_device.daemon.configuration import Config, load_config
    from edgefer_device.sinks.history import plot as plots
    from edgefer_device.sinks.history import report as reports
    from edgefer_device.sinks.history.store import find_store
    from edgefer_device.system.paths import SYSTEM, state_folder

    if delete and (days or table or plot or export):
        raise click.UsageError("--delete deletes all of it: give it without the other options")
    if plot is not None:
        plots.check_name(plot)
    chosen = load_config(config) if config else Config()
    state = state_folder(chosen.state)
    store = find_store(state, fallback=None if config else SYSTEM)
    if delete:
        if not yes:
            click.confirm(f"Delete the history in {store.path} for good?", abort=True, err=True)
        log.info("%s: entries deleted for good: %s", store.path, store.delete())
        return
    spans = store.last_days(days)
    if table is not None:
        reports.write(table, reports.to_csv(spans))
    if plot is not None:
        plots.write_plot(plot, spans, chosen.mirror.clock)
    if export:
        say(*reports.to_json_lines(spans))
    elif table is None and plot is None:
        reports.show(spans)
