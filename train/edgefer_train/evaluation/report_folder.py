"""The folder of a report, which is written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from edgefer.errors import SettingsError
from edgefer.files import atomic_folder


@contextmanager
def report_folder(out: Path | None, record: str, mark: str) -> Iterator[Path | None]:
    """Yield a new folder that takes the place of `out` when the block ends well; None for None.

    A report is known by its `record`, a JSON file with the key `mark` that lists under
    `files` all that belongs to it; an older one at `out` is replaced. Raises
    `SettingsError` at once, before anything is measured, when anything else lies there or
    the folder cannot be made.
    """
    if out is None:
        yield None
        return
    with ExitStack() as stack:
        with _named_errors(out):
            _require_free(out, record, mark)
            folder = stack.enter_context(atomic_folder(out))
        yield folder
        with _named_errors(out):
            stack.close()


def write_folder(
    folder: Path, files: Mapping[str, bytes], record: str, figures: msgspec.Struct
) -> None:
    """Write files and, as JSON for people, the figures that name them."""
    content = msgspec.json.format(msgspec.json.encode(figures)) + b"\n"
    with _named_errors(folder):
        for name, written in {**files, record: content}.items():
            (folder / name).write_bytes(written)


@contextmanager
def _named_errors(out: Path) -> Iterator[None]:
    """Turn an OSError into one line that names `out`."""
    try:
        yield
    except OSError as exc:
        why = exc.strerror or exc
        raise SettingsError(f"{out}: could not be written: {why}; choose another --out") from exc


def _require_free(out: Path, record: str, mark: str) -> None:
    for path in (out, *out.parents):
        if path.is_file():
            raise SettingsError(f"{path}: is a file; --out takes a folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    ours = _files_of(out / record, mark)
    if ours is None:
        raise SettingsError(f"{out}: is a folder but no report of this kind; choose another --out")
    foreign = sorted({path.name for path in out.iterdir()} - {record, *ours})
    if foreign:
        raise SettingsError(
            f"{out}: holds {foreign[0]}, which is no part of the report; choose another --out"
        )


def _files_of(record: Path, mark: str) -> list[str] | None:
    """The files of a report, or None where there is none."""
    try:
        table = msgspec.json.decode(record.read_bytes(), type=dict[str, object])
        return msgspec.convert(table["files"], list[str]) if mark in table else None
    except (OSError, KeyError, ValueError):
        return None
