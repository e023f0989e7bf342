"""Write the tables of docs/configuration.md from the code: keys, defaults and their docstrings.

python tools/configuration_reference.py          # writes the document
python tools/configuration_reference.py --check  # exit status 1 where it is out of date
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import Any, get_args

import msgspec

from edgefer.settings import expectation
from edgefer_device.daemon.configuration import Config

DOCUMENT = Path(__file__).parents[1] / "docs" / "configuration.md"
BEGIN, END = "<!-- keys: tools/configuration_reference.py -->\n", "<!-- end of keys -->\n"


def docstrings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return the docstring below each field of a struct, on one line."""
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            value = below.value
            if isinstance(value, ast.Constant) and isinstance(field.target, ast.Name):
                found[field.target.id] = " ".join(str(value.value).split())
    return found


def tables(kind: type[msgspec.Struct], name: str = "") -> list[str]:
    """Return a Markdown table of a struct's keys, then those of the tables within it."""
    texts, rows, inner = docstrings(kind), [], []
    for field in msgspec.structs.fields(kind):
        nested = struct_of(field.type)
        if nested is not None:
            inner += tables(nested, f"{name}.{field.name}" if name else field.name)
        else:
            text = texts.get(field.name, "").replace("|", "\\|")
            rows.append(f"| `{field.encode_name}` | {default(field)} | {_values(field)} | {text} |")
    about = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
    title = f"## `[{name}]`" if name else "## Top level"
    if name == "content.rule":
        title = f"## `[[{name}]]`"
    head = ["", title, "", about, "", "| key | default | values | |", "| --- | --- | --- | --- |"]
    return [*head, *rows, *inner]


def struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct that a field holds, or holds several of."""
    for candidate in (kind, *get_args(kind)):
        if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
            return candidate
    return None


def default(field: msgspec.structs.FieldInfo) -> str:
    """Return a field's default as TOML writes it."""
    if field.required:
        return "required"
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory()
    if value is None:
        return ""
    return f"`{msgspec.json.encode(value).decode()}`"


def _values(field: msgspec.structs.FieldInfo) -> str:
    return expectation(field.type).removeprefix("from ").removeprefix("one of ")


def document(before: str) -> str:
    """Return the document with its tables anew."""
    body = "\n".join(tables(Config)).strip() + "\n"
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n{body}\n{END}", before)


def main() -> int:
    """Write or check the document."""
    before = DOCUMENT.read_text("utf-8")
    after = document(before)
    if "--check" in sys.argv:
        return int(before != after)
    DOCUMENT.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
