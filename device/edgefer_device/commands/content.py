"""The verbs about content rules."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefer.console import say
from edgefer.errors import SettingsError
from edgefer.options import Number, config_option
from edgefer_device.system.clock import WEEKDAYS

if TYPE_CHECKING:
    from edgefer_device.sinks.content.rule import Rule


@click.group()
def content() -> None:
    """Try the content rules of a configuration."""


@content.command("try")
@config_option
@click.option("--mood", required=True, help="Label, unknown or nobody.")
@click.option("--at", metavar="HH:MM", help="Time of day; default: now.")
@click.option("--day", type=click.Choice(WEEKDAYS), help="Day of the week; default: today.")
@click.option("--minutes", type=Number(0), help="How long it has held; default: 60.")
@click.option("--arrival", is_flag=True, help="As somebody came, --minutes ago; default: 0.")
def try_rules(
    config: Path | None,
    mood: str,
    at: str | None,
    day: str | None,
    minutes: float | None,
    arrival: bool,
) -> None:
    """Say which content rules would fire, and why not.

    Nothing is shown, sent or started. A rule's rest is not known here.
    """
    from edgefer_device.daemon.configuration import labels_of, load_config
    from edgefer_device.sinks.content.rule import ARRIVAL_SECONDS, Situation
    from edgefer_device.sinks.content.settings import mood_error
    from edgefer_device.system.clock import time_words
    from edgefer_device.system.time_of_day import TIME, time_of_day

    chosen = load_config(config)
    if error := mood_error(mood, labels_of(chosen)):
        raise SettingsError(f"--mood: {error}")
    hours = chosen.mirror.clock
    now = datetime.now()
    if at is not None:
        if not re.fullmatch(TIME, at):
            raise SettingsError(f"--at must be a time of day such as 06:30, got '{at}'")
        now = datetime.combine(now.date(), time_of_day(at))
    if day is not None:
        now += timedelta(days=WEEKDAYS.index(day) - now.weekday())
    if minutes is None:
        minutes = 0 if arrival else 60
    held = minutes
    situation = Situation(
        mood=mood,
        minutes=held,
        now=now,
        since_arrival=60 * held + (0 if arrival else 2 * ARRIVAL_SECONDS),
        share=lambda applies, over: min(1.0, held / over) if applies(mood) else 0.0,
    )
    when = "has just come" if held == 0 else f"came {held:g} min ago"
    came = f", somebody {when}" if arrival else ""
    say(f"{mood} for {held:g} min, {WEEKDAYS[now.weekday()]} {time_words(now.time(), hours)}{came}")
    if not chosen.content.rules:
        say("no rules: add [[content.rule]], or a library to [content]")
    own = len(chosen.content.rule)
    for number, rule in enumerate(chosen.content.rules, 1):
        name = f"rule {number}" if number <= own else "library"
        reasons = list(rule.refusals(situation, hours))
        verdict = f"no: {'; '.join(reasons)}" if reasons else "fires"
        say(f"{name}, {_action(rule)}: {verdict}")


def _action(rule: Rule) -> str:
    """Return what a rule does, in a few words."""
    if rule.texts:
        more = f" or {len(rule.texts) - 1} more" if len(rule.texts) > 1 else ""
        return f"'{rule.texts[0]}'{more}"
    if rule.mqtt is not None:
        return f"mqtt {rule.mqtt.topic}"
    return rule.command[0]
