"""What reaches a person on stderr."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings

import click
import pytest
from rich.table import Table

from edgefer.console import FallbackWarning, logging_to_stderr, say, track
from edgefer.errors import SettingsError, one_line
from edgefer.messages import Prediction, to_json
from edgefer.terminal import Terminal, styled

LOG = logging.getLogger("edgefer_device.camera")


def test_a_line_says_its_level_unless_it_is_news(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr():
        LOG.debug("mode 640x480")
        LOG.info("camera is back")
        LOG.warning("camera %s lost", "v4l2:")
        LOG.error("no such camera")
        logging.getLogger("aiohttp").info("GET /")
    assert capsys.readouterr().err.splitlines() == [
        "edgefer: camera is back",
        "edgefer: warning: camera v4l2: lost",
        "edgefer: no such camera",
    ]


def test_verbose_adds_our_details_and_nobody_elses(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr(verbose=True):
        LOG.debug("mode 640x480")
        logging.getLogger("aiohttp").debug("GET /")
    assert capsys.readouterr().err == "edgefer: debug: mode 640x480\n"


def test_what_a_stranger_sent_stays_one_line_and_moves_no_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with logging_to_stderr():
        LOG.warning("mqtt: cannot be '%s'", "\x1b[2J\nedgefer: all is well\u202e é")
        LOG.error("%s", SettingsError("a\rb"))
    assert capsys.readouterr().err.splitlines() == [
        "edgefer: warning: mqtt: cannot be '\\x1b[2J\\nedgefer: all is well\\u202e é'",
        "edgefer: a\\rb",
    ]
    # Not logged: the tests' workers cannot send what is no UTF-8.
    assert one_line("a\udcff") == "a\\udcff"


def test_a_table_shows_the_texts_of_others_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("[bold]head[/bold]")
    table.add_row("\x1b[31m:smile: [red]x[/red]")
    table.add_row(styled(("\x9bmalicious[/]", "bold")))
    Terminal(width=80).print("[link=file:///etc]x", table)
    shown = capsys.readouterr().out
    for text in ("[link=file:///etc]x", "[bold]head[/bold]", "\\x1b[31m:smile: [red]x[/red]"):
        assert text in shown
    assert "\\x9bmalicious[/]" in shown
    assert not {"\x1b", "\x9b"} & set(shown)


NATIVE = """
import os, sys
from edgefer.console import native_stderr_dropped
with native_stderr_dropped():
    os.write(2, b"I0000 00:00:1.2 3 port.cc:153] oneDNN custom operations are on.\\n")
    print("ours", file=sys.stderr)
os.write(2, b"after\\n")
one, other = native_stderr_dropped(), native_stderr_dropped()
one.__enter__(), other.__enter__(), one.__exit__(None, None, None)
os.write(2, b"one of two threads has left\\n")
other.__exit__(None, None, None)
print("at last", file=sys.stderr)
"""


def test_what_libraries_print_past_python_is_dropped_and_ours_stays() -> None:
    words = [sys.executable, "-c", NATIVE]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stderr == "ours\nafter\nat last\n"


def test_a_printed_line_obeys_no_stranger(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb\x1b[2J", [("\x9bfail", "red"), "  é"])
    assert click.unstyle(capsys.readouterr().out) == "a\\nb\\x1b[2J\n\\x9bfail  é\n"


def test_printed_json_means_the_same() -> None:
    name = "\x9b\u202e é \U0001f3f4\U000e0067.png"
    text = to_json(Prediction(name, ()))
    assert text.isprintable()
    assert "é" in text
    assert json.loads(text)["image"] == name


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr(as_json=True):
        LOG.warning("two\nlines %s", "é")
        try:
            raise OSError("gone")
        except OSError:
            LOG.exception("failed")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["time"].endswith("+00:00")
    del first["time"]
    assert first == {
        "level": "WARNING",
        "logger": "edgefer_device.camera",
        "message": "two\nlines é",
    }
    assert second["traceback"].splitlines()[-1] == "OSError: gone"


def test_nothing_of_it_stays_behind(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:], logging.getLogger("edgefer").level
    with logging_to_stderr(), logging_to_stderr(verbose=True):
        pass
    assert (logging.getLogger().handlers, logging.getLogger("edgefer").level) == before


def test_a_warning_of_ours_is_one_line_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr():
        warnings.simplefilter("always")
        warnings.warn("no camera; showing demo: instead", FallbackWarning, stacklevel=1)
    assert capsys.readouterr().err == "edgefer: warning: no camera; showing demo: instead\n"


def test_off_a_terminal_there_is_no_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track([1, 2], "work")) == [1, 2]
    assert capsys.readouterr().err == ""
