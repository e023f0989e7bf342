"""Changing keys of a TOML file in place: comments, order and everything else stay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edgefer.errors import SettingsError
from edgefer.files import write_atomic
from edgefer.settings import read_toml

TABLE = re.compile(r"^\s*\[")
AFTER = re.compile(r"^\s*model\s*=")
"""The line that new keys are put behind, where there is one."""


def change(path: Path, values: Mapping[str, str | int]) -> list[str]:
    """Set keys of the uppermost table; return in words what is different now.

    Raises `SettingsError` for a file that cannot be read, changed safely or written.
    """
    before = read_toml(path)
    wanted = {key: value for key, value in values.items() if before.get(key) != value}
    if not wanted:
        return []
    text = path.read_text()
    for key, value in wanted.items():
        text = _set(text, key, msgspec.json.encode(value).decode())
    # A text within quotes may look like a key: what came out is read before it is believed.
    if _decoded(text) != {**before, **wanted}:
        raise SettingsError(f"{path}: cannot be changed safely; write into it: {_words(wanted)}")
    try:
        write_atomic(path, text)
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be written: {exc.strerror or exc}") from exc
    return [f"{key} = {_said(before.get(key))} -> {_said(wanted[key])}" for key in wanted]


def _set(text: str, key: str, value: str) -> str:
    """Return the text with `key = value` before its first table."""
    lines = text.splitlines(keepends=True)
    end = next((at for at, line in enumerate(lines) if TABLE.match(line)), len(lines))
    there = re.compile(rf"^(\s*{re.escape(key)}\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s#]+)")
    for at in range(end):
        if there.match(lines[at]):
            lines[at] = there.sub(lambda found: found[1] + value, lines[at])
            return "".join(lines)
    head = next((at for at in range(end) if not lines[at].startswith("#")), end)
    behind = next((at + 1 for at in range(end) if AFTER.match(lines[at])), head)
    if behind and not lines[behind - 1].endswith("\n"):
        lines[behind - 1] += "\n"
    return "".join([*lines[:behind], f"{key} = {value}\n", *lines[behind:]])


def _decoded(text: str) -> object:
    try:
        return msgspec.toml.decode(text)
    except msgspec.DecodeError:
        return None


def _words(values: Mapping[str, str | int]) -> str:
    return ", ".join(f"{key} = {_said(value)}" for key, value in values.items())


def _said(value: object) -> str:
    return "not set" if value is None else msgspec.json.encode(value).decode()
