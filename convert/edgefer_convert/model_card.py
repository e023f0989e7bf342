"""MODEL_CARD.md, written from the manifest alone."""

from __future__ import annotations

from msgspec.structs import replace as changed

from edgefer.bundle import Bundle, describe
from edgefer.manifest import Gate, Manifest
from edgefer.metrics import Scores
from edgefer.runtime import first_format

CARD = """\
# {name}

Reads facial expressions ({labels}) from a grey 48x48 image of one face.
It reads expressions, not feelings: what a face shows is not what a person feels.

| | |
| --- | --- |
| architecture | `{architecture}`, {parameters:,} parameters, {macs:.1f} MMAC |
{origin}
| machine | {machine} |
| dataset sha256 | `{fingerprint}` |
| int8 by | {quantization} |
| calibration temperature | {temperature} |
| Edge TPU | {edgetpu} |

## Files

| format | file | bytes | runs on |
| --- | --- | --- | --- |
{files}

## Measured on PrivateTest

| format | accuracy | leak-free | macro-F1 | calibration error | same label as float |
| --- | --- | --- | --- | --- | --- |
{formats}

95 % interval of the {first} accuracy: ±{interval:.1f} points on {n} images.
Leak-free leaves out the {leaks} PrivateTest images with a copy or near-copy in Training.

| {first}, by class | images | recall | precision | F1 |
| --- | --- | --- | --- | --- |
{classes}

Measured by `edgefer convert`, and again by `edgefer evaluate BUNDLE --data DIR --format FORMAT`.

## Gate: {verdict}

| check | measured | limit | verdict |
| --- | --- | --- | --- |
{checks}

## Use

Meant for a mirror, a toy or a study in which those in view know that expressions are
being read. Not for hiring, policing, teaching, medicine or any decision about a person:
people agree with FER2013's own labels on about 65 % of its images, and the images
come from web search, with the biases of their time. In the European Union, inferring
emotions at work or in education is prohibited (AI Act, article 5(1)(f)), and people
must be informed wherever it is done (article 50(3)).
"""


def with_texts(bundle: Bundle) -> tuple[Manifest, dict[str, bytes]]:
    """Return the bundle's manifest and contents with the texts for people, written anew."""
    manifest = bundle.manifest
    texts = {"labels": "\n".join(manifest.labels).encode() + b"\n", "card": card(manifest)}
    entries = {
        "labels": describe("labels.txt", texts["labels"], "people and phones"),
        "card": describe("MODEL_CARD.md", texts["card"], "people"),
    }
    complete = changed(manifest, files={**manifest.files, **entries})
    return complete, {**bundle.contents, **texts}


def card(manifest: Manifest) -> bytes:
    """Return the card of a bundle as Markdown."""
    evidence = manifest.evidence
    first = first_format(manifest.files) or "float"
    scores = evidence.scores[first]
    text = CARD.format(
        name=manifest.name,
        labels=", ".join(manifest.labels),
        architecture=evidence.recipe["architecture"],
        parameters=evidence.parameters,
        macs=evidence.macs / 1e6,
        origin=_origin(manifest),
        machine=evidence.machine,
        fingerprint=evidence.fingerprint,
        quantization=evidence.quantization,
        temperature=manifest.output.temperature,
        edgetpu=evidence.edgetpu or "no int8 TFLite file",
        files=_files(manifest),
        formats=_formats(manifest),
        first=first,
        interval=100 * scores.interval,
        n=scores.n,
        leaks=scores.n - scores.n_leak_free,
        classes=_classes(scores),
        verdict=_verdict(manifest.gate),
        checks=_checks(manifest),
    )
    return text.encode()


def _origin(manifest: Manifest) -> str:
    evidence = manifest.evidence
    if evidence.origin:
        return (
            f"| imported from | {evidence.origin}; its training data is not known here |\n"
            f"| measured on | {evidence.dataset} |"
        )
    return (
        f"| trained on | {evidence.dataset}, Training part, recipe `{evidence.recipe_name}`, "
        f"seed {evidence.seed}, {evidence.minutes:.0f} minutes |"
    )


def _files(manifest: Manifest) -> str:
    return "\n".join(
        f"| {name} | `{file.path}` | {file.bytes:,} | {file.runs_on} |"
        for name, file in manifest.files.items()
    )


def _formats(manifest: Manifest) -> str:
    return "\n".join(
        f"| {name} | {one.accuracy:.2%} | {one.accuracy_leak_free:.2%} | {one.macro_f1:.3f} "
        f"| {one.calibration_error:.3f} | {one.agreement_with_float:.2%} |"
        for name, one in manifest.evidence.scores.items()
    )


def _classes(scores: Scores) -> str:
    return "\n".join(
        f"| {label} | {one.n} | {one.recall:.1%} | {one.precision:.1%} | {one.f1:.3f} |"
        for label, one in scores.per_class.items()
    )


def _verdict(gate: Gate) -> str:
    allowed = sum(check.accepted and not check.passed for check in gate.checks)
    if not gate.passed:
        return "FAILED"
    return f"passed, but for {allowed} check that was allowed to fail" if allowed else "passed"


def _checks(manifest: Manifest) -> str:
    return "\n".join(
        f"| {check.name} | {check.found} | {check.wanted} | {_cell(check.verdict)} |"
        for check in manifest.gate.checks
    )


def _cell(text: str) -> str:
    """Escape someone's own words, which may contain what would end a table's cell."""
    return text.replace("|", "\\|")
