"""MODEL_CARD.md, written from the manifest alone."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace as changed

from edgefer.bundle import Bundle, describe
from edgefer.labels import FOLDERS
from edgefer.manifest import Gate, Manifest
from edgefer.metrics import Scores
from edgefer.runtime import first_format

MEASURED = """\
## {label_set}, measured on PrivateTest

| format | accuracy | leak-free | macro-F1 | calibration error | same label as float |
| --- | --- | --- | --- | --- | --- |
{formats}

95 % interval of the {first} accuracy: ±{interval:.1f} points on {n} images.
Leak-free leaves out the {leaks} PrivateTest images with a copy or near-copy in Training.

| {first}, by class | images | recall | precision | F1 |
| --- | --- | --- | --- | --- |
{classes}
"""

MEASURED_BY = """
Measured by `edgefer convert`, and again by `edgefer evaluate BUNDLE --data DIR --format FORMAT
--labels SET`.
"""

NOT_MEASURED = """\
## Not measured on faces

`edgefer convert` got no dataset: how often the model is right, what its formats change and how sure
it may be are not known. `edgefer evaluate BUNDLE --data DIR` measures it.
"""

ENSEMBLE = """
`both` is the normalized geometric mean of the two heads' probabilities, the second one's with the
weight {weight}; labels that only it has are left out. Devices read it unless they are set to one.
"""

CARD = """\
# {name}

Reads facial expressions from a grey {side}x{side} image of one face.
It reads expressions, not feelings: what a face shows is not what a person feels.

| | |
| --- | --- |
| architecture | `{architecture}`, {parameters:,} parameters, {macs:.1f} MMAC |
{origin}
| machine | {machine} |
| int8 by | {quantization} |
| Edge TPU | {edgetpu} |

## Files

| format | file | bytes | runs on |
| --- | --- | --- | --- |
{files}

## Labels

| label set | labels | temperature | confidence that 85 % of PublicTest reach |
| --- | --- | --- | --- |
{label_sets}
{ensemble}
{measured}

## Gate: {verdict}

| check | measured | limit | verdict |
| --- | --- | --- | --- |
{checks}

## Never measured

{unmeasured}

## Use

Meant for a mirror, a toy or a study in which those in view know that expressions are
being read. Not for hiring, policing, teaching, medicine or any decision about a person{labelling}
In the European Union, inferring
emotions at work or in education is prohibited (AI Act, article 5(1)(f)), and people
must be informed wherever it is done (article 50(3)).
"""


TEXTS = ("labels", "card")
"""The files of a bundle that are for people, and not listed on the card."""


def with_texts(bundle: Bundle) -> tuple[Manifest, dict[str, bytes]]:
    """Return the bundle's manifest and contents with the texts for people, written anew."""
    written = {name: file for name, file in bundle.manifest.files.items() if name not in TEXTS}
    manifest = changed(bundle.manifest, files=written)
    texts = {"labels": "\n".join(manifest.heads[0].labels).encode() + b"\n", "card": card(manifest)}
    entries = {
        "labels": describe("labels.txt", texts["labels"], "people and phones"),
        "card": describe("MODEL_CARD.md", texts["card"], "people"),
    }
    complete = changed(manifest, files={**manifest.files, **entries})
    return complete, {**bundle.contents, **texts}


LABELLING = """:
people agree with FER2013's own labels on about 65 % of its images, and the images
come from web search, with the biases of their time."""


def card(manifest: Manifest) -> bytes:
    """Return the card of a bundle as Markdown."""
    evidence = manifest.evidence
    text = CARD.format(
        name=manifest.name,
        side=manifest.input.preprocess.size,
        architecture=evidence.recipe["architecture"],
        parameters=evidence.parameters,
        macs=evidence.macs / 1e6,
        origin=_origin(manifest),
        machine=evidence.machine,
        quantization=evidence.quantization,
        edgetpu=evidence.edgetpu or "no int8 TFLite file",
        files=_files(manifest),
        label_sets=_label_sets(manifest),
        ensemble=ENSEMBLE.format(weight=manifest.ensemble.weight) if manifest.ensemble else "",
        measured=_all_measured(manifest),
        verdict=_verdict(manifest.gate),
        checks=_checks(manifest),
        unmeasured=_unmeasured(manifest.gate),
        labelling="." if FOLDERS in manifest.label_sets else LABELLING,
    )
    return text.encode()


def _origin(manifest: Manifest) -> str:
    evidence = manifest.evidence
    digest = f"\n| dataset sha256 | `{evidence.fingerprint}` |" if evidence.fingerprint else ""
    if evidence.origin:
        return (
            f"| imported from | {evidence.origin}; its training data is not known here |\n"
            f"| measured on | {evidence.dataset} |{digest}"
        )
    return (
        f"| trained on | {evidence.dataset}, Training part, recipe `{evidence.recipe_name}`, "
        f"seed {evidence.seed}, {evidence.minutes:.0f} minutes |{digest}"
    )


def _files(manifest: Manifest) -> str:
    return "\n".join(
        f"| {name} | `{file.path}` | {file.bytes:,} | {file.runs_on} |"
        for name, file in manifest.files.items()
    )


def _label_sets(manifest: Manifest) -> str:
    return "\n".join(
        f"| {label_set} | {', '.join(manifest.decoder(label_set).labels)} | {one.temperature} "
        f"| {f'{one.threshold:.2f}' if one.scores else 'not measured'} |"
        for label_set, one in manifest.calibrations.items()
    )


def _all_measured(manifest: Manifest) -> str:
    first = first_format(manifest.files) or "float"
    measured = "\n".join(
        _measured(label_set, one.scores, first)
        for label_set, one in manifest.calibrations.items()
        if one.scores
    )
    return measured + _plurality(manifest) + MEASURED_BY if measured else NOT_MEASURED


def _measured(label_set: str, scores: Mapping[str, Scores], first: str) -> str:
    one = scores[first]
    return MEASURED.format(
        label_set=label_set,
        formats=_formats(scores),
        first=first,
        interval=100 * one.interval,
        n=one.n,
        leaks=one.n - one.n_leak_free,
        classes=_classes(one),
    )


def _formats(scores: Mapping[str, Scores]) -> str:
    return "\n".join(
        f"| {name} | {one.accuracy:.2%} | {one.accuracy_leak_free:.2%} | {one.macro_f1:.3f} "
        f"| {one.calibration_error:.3f} | {one.agreement_with_float:.2%} |"
        for name, one in scores.items()
    )


def _classes(scores: Scores) -> str:
    return "\n".join(
        f"| {label} | {one.n} | {one.recall:.1%} | {one.precision:.1%} | {one.f1:.3f} |"
        for label, one in scores.per_class.items()
    )


def _plurality(manifest: Manifest) -> str:
    counted = manifest.evidence.plurality
    if counted is None:
        return ""
    return (
        "\n\nFER+ labels are counted by two rules: above, images of which one label has more than "
        f"half of the votes, single ones left out; of the {counted.n:,} of which one label has the "
        f"most, {counted.accuracy:.2%} are right.\n"
    )


def _unmeasured(gate: Gate) -> str:
    lines = [
        "- Groups of people: age, gender, skin, glasses, beards, masks, head covers.",
        "- Conditions: head turns, light, distance, lenses, other cameras than the dataset's.",
    ]
    if not any(check.name.startswith("corruption drop") for check in gate.checks):
        lines.append(
            "- Corruptions by noise, blur or compression: `edgefer evaluate --corruptions`."
        )
    lines += [f"- {name}: left out by the limits of the gate." for name in gate.omitted]
    lines += [f"- {name}: no images to judge by." for name in gate.unjudged]
    return "\n".join(lines)


def _verdict(gate: Gate) -> str:
    if not gate.passed:
        return "FAILED"
    allowed = sum(check.allowed is not None for check in gate.checks)
    notes = [f"{allowed} allowed to fail"] if allowed else []
    notes += [f"{len(gate.undecided)} with not enough images to tell"] if gate.undecided else []
    notes += [f"{len(gate.unjudged)} not judged, for want of images"] if gate.unjudged else []
    return f"passed, but for {' and '.join(notes)}" if notes else "passed"


def _checks(manifest: Manifest) -> str:
    return "\n".join(
        f"| {check.name} | {check.found} | {check.wanted} | {_cell(check.verdict)} |"
        for check in manifest.gate.checks
    )


def _cell(text: str) -> str:
    """Escape someone's own words, which may contain what would end a table's cell."""
    return text.replace("|", "\\|")
