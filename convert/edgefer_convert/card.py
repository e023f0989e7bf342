"""MODEL_CARD.md, written from the manifest alone."""

from __future__ import annotations

from edgefer.manifest import Manifest

CARD = """\
# {name}

Reads facial expressions ({labels}) from a grey 48x48 picture of one face.
It reads expressions, not feelings: what a face shows is not what a person feels.

| | |
| --- | --- |
| architecture | `{architecture}`, {parameters:,} parameters, {macs:.1f} MMAC |
| trained on | {dataset}, Training part, recipe `{recipe}`, seed {seed}, {minutes:.0f} minutes |
| machine | {machine} |
| dataset sha256 | `{fingerprint}` |
| calibration temperature | {temperature} |

## Measured on PrivateTest

| format | accuracy | leak-free | macro-F1 | calibration error | same label as float |
| --- | --- | --- | --- | --- | --- |
{formats}

95 % interval of the int8 accuracy: ±{interval:.1f} points on {n} pictures.
Leak-free leaves out the {leaks} PrivateTest pictures with a copy or near-copy in Training.

| int8, by class | pictures | recall | precision | F1 |
| --- | --- | --- | --- | --- |
{classes}

Measured by `edgefer convert`, and again by `edgefer evaluate BUNDLE --data DIR --format FORMAT`.

## Gate: {verdict}

{checks}

## Use

Meant for a mirror, a toy or a study in which those in view know that expressions are
being read. Not for hiring, policing, teaching, medicine or any decision about a person:
people agree with FER2013's own labels on about 65 % of its pictures, and the pictures
come from web search, with the biases of their time. In the European Union, inferring
emotions at work or in education is prohibited (AI Act, article 5(1)(f)), and people
must be told wherever it is done (article 50(3)).
"""


def card(manifest: Manifest) -> bytes:
    """Return the card of a bundle as Markdown."""
    evidence, int8 = manifest.evidence, manifest.evidence.scores["int8"]
    text = CARD.format(
        name=manifest.name,
        labels=", ".join(manifest.labels),
        architecture=evidence.recipe["architecture"],
        parameters=evidence.parameters,
        macs=evidence.macs / 1e6,
        dataset=evidence.dataset,
        recipe=evidence.recipe_name,
        seed=evidence.seed,
        minutes=evidence.minutes,
        machine=evidence.machine,
        fingerprint=evidence.fingerprint,
        temperature=manifest.output.temperature,
        formats=_formats(manifest),
        interval=100 * int8.interval,
        n=int8.n,
        leaks=int8.n - int8.n_leak_free,
        classes=_classes(manifest),
        verdict="passed" if manifest.gate.passed else "FAILED",
        checks=_checks(manifest),
    )
    return text.encode()


def _formats(manifest: Manifest) -> str:
    return "\n".join(
        f"| {name} | {one.accuracy:.2%} | {one.accuracy_leak_free:.2%} | {one.macro_f1:.3f} "
        f"| {one.calibration_error:.3f} | {one.agreement_with_float:.2%} |"
        for name, one in manifest.evidence.scores.items()
    )


def _classes(manifest: Manifest) -> str:
    return "\n".join(
        f"| {label} | {one.n} | {one.recall:.1%} | {one.precision:.1%} | {one.f1:.3f} |"
        for label, one in manifest.evidence.scores["int8"].per_class.items()
    )


def _checks(manifest: Manifest) -> str:
    return "\n".join(
        f"- {check.name}: {check.measured:.2%}, at most {check.limit:.2%}: "
        f"{'passed' if check.passed else 'FAILED'}"
        for check in manifest.gate.checks
    )
