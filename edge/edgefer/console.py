"""All text that reaches a person: results on stdout, log lines and the progress bar on stderr.

Tables are in `terminal.py`.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias, TypeVar

from edgefer.errors import one_line

if TYPE_CHECKING:
    from rich.progress import Progress

PACKAGES = ("edgefer", "edgefer_train", "edgefer_convert", "edgefer_device")
"""The loggers that are ours."""

Item = TypeVar("Item")
Part: TypeAlias = str | tuple[str, str]
"""A text of a line, or one and its colour."""


class EdgeferWarning(UserWarning):
    """Base of every warning that edgefer gives on purpose."""


class FallbackWarning(EdgeferWarning):
    """Something requested is not there; the text names what is used in its place."""


def say(*lines: str | Sequence[Part], err: bool = False) -> None:
    """Print lines on stdout, or on stderr; what a stranger put into one is escaped."""
    import click  # not on a device that only infers

    for line in lines:
        parts = [line] if isinstance(line, str) else line
        printed = (
            one_line(part) if isinstance(part, str) else click.style(one_line(part[0]), fg=part[1])
            for part in parts
        )
        click.echo("".join(printed), err=err)  # noqa: TID251  # the one place


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is when a line is logged, as `logging.lastResort` does."""

    def __init__(self, formatter: logging.Formatter) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(formatter)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # a plain attribute in the base class
        """The stream of the moment."""
        return sys.stderr


class TextFormatter(logging.Formatter):
    """One line a record, as programs of Unix write it: `edgefer: warning: ...`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; news and the error that ends a program need no level."""
        level = record.levelname.lower()
        mark = "" if record.levelno in (logging.INFO, logging.ERROR) else f"{level}: "
        return f"edgefer: {mark}{super().format(record)}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # as logging names it
        """Return the message alone, which may hold what a stranger sent."""
        return one_line(super().formatMessage(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time (UTC), level, logger, message and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object on one line."""
        time = datetime.fromtimestamp(record.created, timezone.utc)
        line = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        from edgefer.messages import printable_json

        return printable_json(json.dumps(line, ensure_ascii=False))


class _NativeStderr:
    """The file descriptor of stderr, which leads nowhere as long as somebody wants that."""

    def __init__(self) -> None:
        self._lock, self._users, self._undo = threading.Lock(), 0, ExitStack()

    def drop(self) -> None:
        with self._lock:
            if not self._users:
                self._lead_nowhere()
            self._users += 1

    def keep(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._undo.close()

    def _lead_nowhere(self) -> None:
        try:
            kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        except OSError:  # closed, or no file is left: then what is printed is seen, or is nowhere
            return
        self._undo.callback(os.close, kept)
        if _is_descriptor_2(sys.stderr):  # else a test or a notebook holds it
            self._undo.enter_context(redirect_stderr(_python_stderr()))
            if not faulthandler.is_enabled():
                faulthandler.enable(_python_stderr())
        self._undo.callback(os.dup2, kept, 2)
        os.dup2(nowhere, 2)
        os.close(nowhere)


@cache
def _python_stderr() -> TextIO:
    """Return another stream to where stderr leads, which a thread may write to at any time."""
    stream = os.fdopen(os.dup(2), "w", 1, sys.stderr.encoding, "backslashreplace")
    atexit.register(stream.close)
    return stream


_native_stderr = _NativeStderr()


@contextmanager
def native_stderr_dropped() -> Iterator[None]:
    """Drop what libraries write to the file descriptor of stderr itself, not what Python does.

    TensorFlow logs of itself there before any switch of its own has an effect, LiteRT each
    delegate without one. Their errors are exceptions; of a crash Python tells where it was.
    Threads may enter at any time.
    """
    _native_stderr.drop()
    try:
        yield
    finally:
        _native_stderr.keep()


def _is_descriptor_2(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except (OSError, ValueError):  # of no descriptor
        return False


@contextmanager
def logging_to_stderr(verbose: bool = False, as_json: bool = False) -> Iterator[None]:
    """Log to stderr: our packages from INFO (`verbose`: DEBUG) on, all others from WARNING on.

    An `EdgeferWarning` is logged as one line; other warnings are shown as Python shows them.
    """
    handler = StderrHandler(JsonFormatter() if as_json else TextFormatter())
    loggers = [logging.getLogger(name) for name in PACKAGES]
    levels = [logger.level for logger in loggers]
    logging.getLogger().addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _log_ours(warnings.showwarning)
            yield
    finally:
        logging.getLogger().removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _log_ours(show_others: Callable[..., None]) -> Callable[..., None]:
    """Return what takes the place of `warnings.showwarning`."""

    def show(message: Warning | str, category: type[Warning], *place: Any, **where: Any) -> None:
        if issubclass(category, EdgeferWarning):
            logging.getLogger(__name__).warning("%s", message)
        else:
            show_others(message, category, *place, **where)

    return show


def progress_bar() -> Progress:
    """Return the bar that every long work shows."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def track(items: Sequence[Item], description: str) -> Iterator[Item]:
    """Yield the items behind a progress bar that goes away when they are done.

    Off a terminal there is none: rich would leave an empty line in a log.
    """
    if not sys.stderr.isatty():
        yield from items
        return
    with progress_bar() as bar:
        bar.live.transient = True
        yield from bar.track(items, description=one_line(description))
