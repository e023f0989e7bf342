"""An evaluation as a folder: report.json, report.html and its charts."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edgefer.theme import DARK, LIGHT, Theme
from edgefer_train.data.dataset import Dataset, Usage
from edgefer_train.evaluation.candidate import Fitted
from edgefer_train.evaluation.charts import (
    draw_calibration,
    draw_classes,
    draw_confusion,
    draw_coverage,
    draw_fit,
    draw_mistakes,
)
from edgefer_train.evaluation.evaluate import Evaluation
from edgefer_train.evaluation.report_folder import report_folder, write_folder
from edgefer_train.evaluation.report_page import Chart, page
from edgefer_train.run import Stage

RECORD, MARK = "report.json", "edgefer_evaluation"
report_dir = functools.partial(report_folder, record=RECORD, mark=MARK)
"""`report_folder` for an evaluation, known by its record."""

ON_PAGE = tuple(dataclasses.replace(theme, headed=False) for theme in (LIGHT, DARK))
"""There the headings are the page's own."""

CHARTS: dict[str, Callable[[Evaluation, Theme], bytes]] = {
    "confusion": draw_confusion,
    "calibration": draw_calibration,
    "coverage": draw_coverage,
}
"""Those on the page."""


def write_report(
    folder: Path, done: Evaluation, fits: Sequence[Fitted] = (), dataset: Dataset | None = None
) -> Evaluation:
    """Write the report into an empty folder; return the evaluation with its files named.

    `fits` are those whose curves are drawn; `dataset` is what was measured, whose faces
    are shown where the model was most wrong, or None for a report without faces.
    """
    images = None
    if dataset is not None:
        private = dataset.part(Usage.PrivateTest).images
        images = [private[mistake.row] for mistake in done.mistakes]
    charts = {name: _chart(draw, done) for name, draw in CHARTS.items()}
    for fitted in fits:
        charts[f"curves-{fitted.stage.name}"] = _curves(fitted.stage, done)
    files = {f"{name}.png": chart.file for name, chart in charts.items()}
    # On the page these two are text and images of its own.
    files["classes.png"] = _drawn(draw_classes, done, LIGHT)
    if images is not None:
        with LIGHT.applied():
            files["mistakes.png"] = draw_mistakes(done, images, LIGHT)
    files["report.html"] = page(done, charts, images)
    done = msgspec.structs.replace(done, files=tuple(files))
    write_folder(folder, files, RECORD, done)
    return done


def _chart(draw: Callable[[Evaluation, Theme], bytes], done: Evaluation) -> Chart:
    return Chart(*(_drawn(draw, done, theme) for theme in (LIGHT, *ON_PAGE)))


def _drawn(draw: Callable[[Evaluation, Theme], bytes], done: Evaluation, theme: Theme) -> bytes:
    with theme.applied():
        return draw(done, theme)


def _curves(stage: Stage, done: Evaluation) -> Chart:
    title = f"{done.model.name}, {stage.name}: {len(stage.rows())} epochs"
    light, dark = (draw_fit(stage, theme, title) for theme in ON_PAGE)
    return Chart(light, light, dark)
