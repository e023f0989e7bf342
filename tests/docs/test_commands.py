"""Every command in a document exists: its verb, its options, its make target, its script."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click
import pytest

from edgefer.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "firmware-config" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
PROGRAM = re.compile(r"^(?:\$ )?(?:sudo )?(?:[A-Z_]+=\S+ )*(edgefer|make|python) ")
INLINE = re.compile(r"`((?:edgefer|make|python) [^`]*)`")
ABBREVIATED = re.compile(r"\.\.\.|[|{…]|timeit")
"""What a reader is to fill in, and Python's own programs: no command of ours as it stands."""
PROGRAMS = ("edgefer", "make", "python")


def commands(document: Path) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the words of each command of a document, and whether it stands in a sentence."""
    text = document.read_text("utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        code = line.strip().removeprefix("$ ")
        if line.startswith("    ") and PROGRAM.match(code) and not ABBREVIATED.search(code):
            yield from ((words, False) for words in split(code))
    for found in INLINE.findall(re.sub(r"(?m)^    .*$", "", text)):
        if not ABBREVIATED.search(found):
            yield from ((words, True) for words in split(" ".join(found.split())))


def split(code: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command on a line, without comments and variables."""
    # What is optional stands in brackets; where the output goes is the shell's part.
    lexer = shlex.shlex(re.sub(r"[\[\]]| >.*", "", code), posix=True, punctuation_chars=";&")
    lexer.whitespace_split = True
    for separator, words in groupby(lexer, lambda word: set(word) <= set(";&")):
        named = list(words)
        while named and ("=" in named[0] or named[0] in ("sudo", "do")):
            named.pop(0)
        if not separator and named and named[0] in PROGRAMS:
            yield tuple(named)


def every_command() -> list[tuple[str, tuple[str, ...], bool]]:
    return sorted(
        {(document.name, *found) for document in DOCUMENTS for found in commands(document)}
    )


def parse(words: tuple[str, ...]) -> None:
    """Have click parse a command without running it."""
    context = main.make_context("edgefer", list(words))
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            raise click.exceptions.NoArgsIsHelpError(context)
        name, command, rest = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, rest, parent=context)


def targets() -> set[str]:
    return set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))


def check(words: tuple[str, ...]) -> None:
    program, *rest = words
    if program == "edgefer":
        parse(tuple(rest))
    elif program == "make":
        named = {word for word in rest if "=" not in word and not word.startswith("-")}
        assert named <= targets(), f"no such target: {named - targets()}"
    else:
        script = next((word for word in rest if word.endswith(".py")), None)
        assert script is None or (ROOT / script).is_file(), f"no such script: {script}"


@pytest.mark.parametrize(("document", "words", "inline"), every_command(), ids=str)
def test_a_documents_command_exists(document: str, words: tuple[str, ...], inline: bool) -> None:
    try:
        check(words)
    except (click.MissingParameter, click.BadOptionUsage, click.exceptions.NoArgsIsHelpError):
        assert inline, "only a sentence may name a verb without what it needs"
    except click.exceptions.Exit as exc:
        assert exc.exit_code == 0  # an option that prints and ends, as --licenses
    except click.ClickException as exc:
        pytest.fail(f"{document}: {shlex.join(words)}: {exc.format_message()}")


def test_the_documents_have_commands() -> None:
    assert len(every_command()) > 100
