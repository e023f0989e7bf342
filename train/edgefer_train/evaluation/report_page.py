"""The report as one page of HTML that needs nothing beside it: no script, no file, no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import NamedTuple

import cv2

from edgefer.metrics import Interval
from edgefer.preprocess import Pixels
from edgefer_train.evaluation.charts import described
from edgefer_train.evaluation.evaluate import Evaluation, Mistake

FLOAT = ("float", "onnx", "keras")
"""Formats that agree with the float model by being it."""


class Chart(NamedTuple):
    """One chart as PNG: as a file of its own, and for the page on either ground."""

    file: bytes
    light: bytes
    dark: bytes


FORMAT_NAMES = {
    "int8": "The int8 file, run by LiteRT",
    "onnx": "The float32 file, run by onnxruntime",
    "onnx-int8": "The int8 ONNX file, run by onnxruntime",
    "onnx-symmetric": "The symmetric int8 ONNX file, run by onnxruntime",
    "float16": "The float16 file, run by LiteRT",
    "uint8": "The int8 file with uint8 in and out, run by LiteRT",
    "dynamic": "The file with int8 weights, run by LiteRT",
    "int16x8": "The file with int16 activations, run by LiteRT",
    "mobile": "The file for phones, run by LiteRT",
    "keras": "The float Keras file",
    "float": "The float Keras model",
    "qat": "The Keras model that rounds as int8 will (qat)",
}
"""Formats in words, for the page's head."""


FACES_NOTICE = (
    '<p class="notice"><strong>This page contains images of people</strong>, taken from the '
    "dataset on your machine. FER2013's images come without a licence that would let them be "
    "passed on: do not publish this page. Written with <code>--no-faces</code> it holds none.</p>"
)


def page(done: Evaluation, charts: Mapping[str, Chart], images: Sequence[Pixels] | None) -> bytes:
    """Return the page; `images` are those of the mistakes, uint8 (side, side), or None."""
    template = resources.files("edgefer_train.evaluation").joinpath("report.html")
    facts, chosen = done.model, done.at_threshold
    weakest, worst = min(done.per_class.items(), key=lambda item: item[1].f1)
    leak_free = done.accuracy_leak_free_interval
    parts = {
        "title": escape(f"{facts.name}, {done.format}: evaluation"),
        "name": escape(facts.name),
        "format": FORMAT_NAMES.get(done.format, escape(done.format)),
        "measured": done.measured,
        "n": f"{done.n:,}",
        "dataset": escape(done.dataset),
        "labels": escape(", ".join(facts.labels)),
        "warning": "" if done.same_dataset else _notice("Other data.", done.other_data_warning),
        "accuracies": _accuracy("Accuracy", done.accuracy, done.accuracy_interval, done.n)
        + _accuracy("Accuracy, leak-free", done.accuracy_leak_free, leak_free, done.n_leak_free),
        "others": _others(done),
        "weakest": f"Weakest: {escape(weakest)}, F1 {worst.f1:.2f} on {worst.n:,} images.",
        "classes": _classes(done),
        "confusion": _image(charts["confusion"], "Confusion matrix"),
        "calibration": _image(charts["calibration"], "Accuracy against confidence"),
        "coverage": _image(charts["coverage"], "Accuracy against coverage"),
        "temperature": f"{done.temperature:g}",
        "error_before": f"{done.calibration_error_before:.3f}",
        "error": f"{done.calibration_error:.3f}",
        "threshold": _percent(chosen.threshold, 0),
        "covered": f"{chosen.n:,}",
        "covered_accuracy": _percent(chosen.accuracy),
        "curves": _curves(charts),
        "annotators": _annotators(done),
        "mistakes": _mistakes(done, images),
        "facts": _facts(done),
    }
    return Template(template.read_text("utf-8")).substitute(parts).encode()


def _notice(title: str, text: str) -> str:
    sentence = escape(text[0].upper() + text[1:])
    return f'<p class="notice"><strong>{title}</strong> {sentence}.</p>'


def _percent(share: float, decimals: int = 1) -> str:
    return f"{100 * share:.{decimals}f} %"


def _accuracy(name: str, share: float, interval: Interval, n: int) -> str:
    if not n:
        return f'<div><dt>{name}</dt><dd class="value">none</dd><dd>no such image</dd></div>\n'
    ends = f"--low: {100 * interval.low:.2f}%; --high: {100 * interval.high:.2f}%"
    return (
        f'<div><dt>{name}</dt><dd class="value">{_percent(share)}</dd>'
        f'<dd><span class="track" style="{ends}"><i></i></span>'
        f"{100 * interval.low:.1f} to {100 * interval.high:.1f} % on {n:,} images</dd></div>\n"
    )


def _others(done: Evaluation) -> str:
    before = f"{done.calibration_error_before:.3f} before temperature {done.temperature:g}"
    shown = [
        ("Macro-F1", f"{done.macro_f1:.3f}", f"mean of {len(done.per_class)} labels"),
        ("Calibration error", f"{done.calibration_error:.3f}", before),
    ]
    if done.format not in FLOAT:
        same = _percent(done.agreement_with_float)
        shown.append(("Same label as float", same, f"of {done.n:,} images"))
    return "\n".join(
        f'<div><dt>{name}</dt><dd class="value">{value}</dd><dd>{note}</dd></div>'
        for name, value, note in shown
    )


def _classes(done: Evaluation) -> str:
    return "\n".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{one.n:,}</td>'
        f"{_bar(one.recall)}{_bar(one.precision)}<td>{one.f1:.3f}</td></tr>"
        for name, one in done.per_class.items()
    )


def _bar(share: float) -> str:
    return f'<td class="bar" style="--share: {100 * share:.1f}%">{_percent(share)}</td>'


def _curves(charts: Mapping[str, Chart]) -> str:
    """Every chart of a fit; nothing for a bundle, which carries none."""
    fits = [chart for name, chart in charts.items() if name.startswith("curves-")]
    if not fits:
        return ""
    caption = (
        "Epoch by epoch; the epoch that does best on PublicTest is kept. Training is measured "
        "on changed images and as it goes, PublicTest on the averaged weights."
    )
    drawn = [f"<figure>{_image(chart, 'Learning curves', 'wide')}</figure>" for chart in fits]
    return f"\n<h2>How it learned</h2>\n<p>{caption}</p>\n" + "\n".join(drawn)


def _annotators(done: Evaluation) -> str:
    wrong, votes = round(done.n * (1 - done.accuracy)), done.annotators
    text = f"{wrong:,} of {done.n:,} predictions differ from the label."
    if votes and votes.n:
        model, label = votes.with_model / votes.n, votes.with_label / votes.n
        text += (
            f" On {votes.n:,} of these images one label has the most votes of FER+'s ten "
            f"annotators: on {_percent(model, 0)} of them it is the model's, on "
            f"{_percent(label, 0)} the dataset's, on {_percent(1 - model - label, 0)} neither's."
        )
    return f"<p>{text}</p>"


def _mistakes(done: Evaluation, images: Sequence[Pixels] | None) -> str:
    notice = FACES_NOTICE if images is not None else "<p>Written without the images.</p>"
    faces = images if images is not None else [None] * len(done.mistakes)
    shown = "\n".join(map(_mistake, done.mistakes, faces))
    return f'{notice}\n<ul class="faces">\n{shown}\n</ul>'


def _mistake(mistake: Mistake, image: Pixels | None) -> str:
    lines = "".join(f"<span>{escape(line)}</span>" for line in described(mistake))
    predicted = f"<b>{escape(mistake.predicted)} {_percent(mistake.confidence, 0)}</b>"
    if image is None:
        return f"<li>{predicted}{lines}</li>"
    alt = f"face of label {mistake.label}, row {mistake.row} of PrivateTest"
    content = cv2.imencode(".png", image)[1].tobytes()
    return f'<li><img src="{_inlined(content)}" alt="{escape(alt)}">{predicted}{lines}</li>'


def _facts(done: Evaluation) -> str:
    facts = done.model
    command = f"edgefer evaluate {facts.path} --data DIR --format {done.format}"
    command += f" --labels {facts.label_set}"
    size = f"{facts.parameters:,} parameters, {facts.macs / 1e6:.1f} MMAC"
    rows = (
        (facts.kind, facts.path),
        ("architecture", f"{facts.architecture}, {size}"),
        ("file", f"{done.format}, {done.bytes:,} bytes" if done.bytes else done.format),
        ("trained", f"recipe {facts.recipe_name}, seed {facts.seed}, {facts.minutes:.0f} minutes "
                    f"on {facts.machine}"),
        ("dataset", f"{done.dataset}, {facts.split} split, sha256 {done.fingerprint}"),
        ("measured", f"{done.measured}, on {done.machine}"),
    )  # fmt: skip
    cells = [(name, escape(value)) for name, value in rows]
    cells.append(("command", f"<code>{escape(command)}</code>"))
    return "\n".join(
        f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in cells
    )


def _image(chart: Chart, alt: str, kind: str = "") -> str:
    return (
        f'<div class="scroll {kind}"><picture>'
        f'<source media="(prefers-color-scheme: dark)" srcset="{_inlined(chart.dark)}">'
        f'<img src="{_inlined(chart.light)}" alt="{alt}"></picture></div>'
    )


def _inlined(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
