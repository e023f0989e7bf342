"""The verbs about the configuration file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgefer.console import say
from edgefer.options import FILE, json_option

log = logging.getLogger(__name__)


@click.group()
def config() -> None:
    """Write, check or explain a configuration file."""


@config.command()
@click.argument("file", type=FILE, default="edgefer.toml")
def init(file: Path) -> None:
    """Ask five questions and write FILE, edgefer.toml by default."""
    from edgefer.errors import SettingsError
    from edgefer.files import write_output
    from edgefer_device.cameras.opening import camera_address
    from edgefer_device.daemon.config_file import Answers
    from edgefer_device.sinks.mirror.settings import AUTO, languages
    from edgefer_device.sinks.opening import open_sink

    if file.exists():
        raise SettingsError(f"{file}: exists already; name another file, or remove it first")
    camera = _ask("Camera (edgefer cameras lists them)", "auto:", camera_address)
    language = click.prompt(
        "Language of the mirror page", AUTO, type=click.Choice([AUTO, *languages()]), err=True
    )
    broker = _ask(
        "MQTT broker, such as mqtt://HOST/TOPIC; empty for none",
        "",
        lambda uri: uri and open_sink(uri),
    )
    whose = click.prompt(
        "Of several faces", "nearest", type=click.Choice(["nearest", "household"]), err=True
    )
    days = click.prompt(
        "Days to keep a history of moods; 0 keeps none", 0, type=click.IntRange(0, 36_500), err=True
    )
    write_output(file, Answers(camera, language, broker, whose, days).text())
    log.info("%s: written; start it with: edgefer run --config %s", file, file)


@config.command()
@click.argument("file", type=FILE)
def check(file: Path) -> None:
    """List every mistake in FILE; exit status 1 if any."""
    from edgefer_device.daemon import config_file

    found = config_file.check(file)
    for line in found:
        log.error("%s", line)
    if found:
        raise SystemExit(1)
    log.info("%s: no mistakes", file)


@config.command()
@click.argument("file", type=FILE, required=False)
@json_option
def show(file: Path | None, as_json: bool) -> None:
    """Show each setting in force and where it comes from.

    Passwords and tokens in addresses are masked.
    """
    from edgefer.messages import to_json
    from edgefer_device.daemon import config_file

    rows = config_file.describe(file)
    if as_json:
        say(*map(to_json, rows))
        return
    widest = min(60, max(len(one.setting) for one in rows))
    for one in rows:
        say(f"{one.setting:<{widest}}  # {one.source}")


def _ask(question: str, default: str, parse: Callable[[str], Any]) -> str:
    """Return an answer that can be parsed; ask again for another."""
    from edgefer.errors import EdgeferError

    def convert(text: str) -> str:
        try:
            parse(text)
        except EdgeferError as exc:
            raise click.BadParameter(str(exc)) from exc
        return text

    answer: str = click.prompt(question, default, value_proc=convert, err=True)
    return answer
