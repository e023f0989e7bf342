"""The files of a microcontroller's application: the model as a C array, and C around it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from string import Template

from edgefer.bundle import Bundle
from edgefer.errors import BundleError
from edgefer.heads import Decoder, Head
from edgefer.manifest import Manifest
from edgefer.preprocess import int8_table
from edgefer.tflite_file import read_graph

TEMPLATES = Path(__file__).parent / "microcontroller"
SOURCES = ("edgefer_face.h", "edgefer_face.c")
"""Files that are the same for every model."""
ETHOS_U = "ethos-u"
"""The format, and the operation, of Arm's NPUs."""
ARENA_SHARE = 40
"""Bytes of the interpreter's arena for each pixel of the model's side squared: what `small` takes,
and some more."""
RESOLVERS = {"AVERAGE_POOL_2D": "AddAveragePool2D", "CONV_2D": "AddConv2D",
             "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D", "MAX_POOL_2D": "AddMaxPool2D",
             ETHOS_U: "AddEthosU"}  # fmt: skip
"""Names of the resolver's functions that are not the operation's words in one."""


def microcontroller_files(bundle: Bundle) -> dict[str, bytes]:
    """Return the files by name: with the model for an Ethos-U where there is one, else int8.

    Raises `BundleError` for a bundle without either.
    """
    format = next((name for name in (ETHOS_U, "int8") if name in bundle.contents), None)
    if format is None:
        raise BundleError(
            f"{bundle.path}: microcontrollers run an int8 file, which this bundle lacks; "
            "convert it again with --formats int8"
        )
    content, manifest = bundle.read(format), bundle.manifest
    heads, decoder = manifest.heads_of(format), manifest.decoder(format=format)
    operations = sorted({op.name for op in read_graph(content, str(bundle.path)).ops})
    side = manifest.input.preprocess.size
    values = {
        "name": manifest.name,
        "format": format,
        "bytes": f"{len(content):,}",
        "arena": ARENA_SHARE * side**2,
        "operations": ", ".join(f"`{name}`" for name in operations),
        "count": len(operations),
        "add": "\n".join(f"    resolver.{_resolver(name)}();" for name in operations),
    }
    return {
        "edgefer_model.c": _model_source(manifest, content, heads, decoder).encode(),
        "edgefer_model.h": _model_header(manifest, len(content), len(heads), decoder).encode(),
        **{name: (TEMPLATES / name).read_bytes() for name in SOURCES},
        **{name: _filled(name, values) for name in ("example.cc", "README.md")},
        "MODEL_CARD.md": bundle.read("card"),
    }


def _filled(name: str, values: dict[str, object]) -> bytes:
    return Template((TEMPLATES / name).read_text()).substitute(values).encode()


def _resolver(operation: str) -> str:
    """Return the function of TensorFlow Lite Micro's resolver for an operation."""
    words = "".join(word.capitalize() for word in operation.split("_"))
    return RESOLVERS.get(operation, f"Add{words}")


def _model_header(manifest: Manifest, size: int, outputs: int, decoder: Decoder) -> str:
    preprocess = manifest.input.preprocess
    return f"""\
/* {manifest.name}: what edgefer_face.c and an application need to know of the model. */
#ifndef EDGEFER_MODEL_H
#define EDGEFER_MODEL_H

#include <stdint.h>

#define EDGEFER_SIDE {preprocess.size} /* of the model's grey input, pixels */
#define EDGEFER_MARGIN {preprocess.margin!r} /* added to each side of a box, as a share of it */
#define EDGEFER_OUTPUTS {outputs}
#define EDGEFER_LABELS {len(decoder.labels)}
#define EDGEFER_TERMS {len(decoder.terms)}
#define EDGEFER_THRESHOLD {decoder.calibration.threshold!r}f /* of a confidence: below is unsure */
#define EDGEFER_MODEL_BYTES {size}

#ifdef __cplusplus
extern "C" {{
#endif

/* What one output adds to the logits of the labels, by quantized value. */
typedef struct {{
  int output;
  float factor;
  uint8_t columns[EDGEFER_LABELS];
}} edgefer_term;

extern const unsigned char edgefer_model[EDGEFER_MODEL_BYTES]; /* TFLite, aligned to 16 bytes */
extern const char *const edgefer_labels[EDGEFER_LABELS];       /* UTF-8 */
extern const int8_t edgefer_levels[256];                       /* grey level to input value */
extern const edgefer_term edgefer_terms[EDGEFER_TERMS];

#ifdef __cplusplus
}}
#endif
#endif
"""


def _model_source(
    manifest: Manifest, content: bytes, heads: tuple[Head, ...], decoder: Decoder
) -> str:
    labels = ", ".join(json.dumps(label, ensure_ascii=False) for label in decoder.labels)
    levels = _rows([str(level) for level in int8_table(manifest.input.affine)])
    terms = "\n".join(_terms(decoder, heads))
    return f"""\
#include "edgefer_model.h"

const char *const edgefer_labels[EDGEFER_LABELS] = {{{labels}}};

const int8_t edgefer_levels[256] = {{
{levels}
}};

const edgefer_term edgefer_terms[EDGEFER_TERMS] = {{
{terms}
}};

#if defined(__GNUC__)
__attribute__((aligned(16)))
#endif
const unsigned char edgefer_model[EDGEFER_MODEL_BYTES] = {{
{_rows([str(byte) for byte in content])}
}};
"""


def _terms(decoder: Decoder, heads: tuple[Head, ...]) -> Iterator[str]:
    """Yield a decoder's terms in C: by output, with its scale and the temperature in the factor."""
    start, outputs = 0, {}
    for index, head in enumerate(heads):
        outputs[range(start, start + len(head.labels))] = index, head.affine.scale
        start += len(head.labels)
    for term in decoder.terms:
        within = next(columns for columns in outputs if term.columns[0] in columns)
        output, scale = outputs[within]
        factor = term.factor * scale / decoder.calibration.temperature
        columns = ", ".join(str(column - within.start) for column in term.columns)
        yield f"    {{{output}, {factor!r}f, {{{columns}}}}},"


def _rows(values: list[str], width: int = 20) -> str:
    return "\n".join(
        f"    {', '.join(values[at : at + width])}," for at in range(0, len(values), width)
    )
