"""The configuration file as its owner sees it: written from a few answers, checked, explained."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edgefer.errors import BundleError, EdgeferError, SettingsError, StateError
from edgefer.labels import EVERY_LABEL
from edgefer.settings import Problem, problems, read_toml, sound_part
from edgefer.text_files import read_text
from edgefer_device.cameras.opening import camera_address
from edgefer_device.daemon.configuration import (
    Config,
    decoder_of,
    load_config,
    model_of,
    store_of,
)
from edgefer_device.faces.opening import open_detector
from edgefer_device.sinks.content.settings import rule_problems
from edgefer_device.sinks.mqtt.broker import USER
from edgefer_device.sinks.opening import SinkContext, open_sink
from edgefer_device.system.address import redacted
from edgefer_device.system.paths import state_folder

HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\-\"' ]+?)\s*\]")
CREDENTIALS = "/run/credentials/"
"""Where systemd puts them, systemd.exec(5)."""
KEY = re.compile(r"\s*([\w.\-\"]+)\s*=")


class Answers(msgspec.Struct, frozen=True):
    """What `edgefer config init` asks."""

    camera: str = "auto:"
    language: str = "auto"
    broker: str = ""
    """Address of an MQTT broker; empty for none."""
    whose: str = "nearest"
    keep_days: int = 0

    def text(self) -> str:
        """Return the file."""
        sinks = ["mirror:", *([self.broker] if self.broker else [])]
        camera, language, whose = map(_toml, (self.camera, self.language, self.whose))
        return (
            "# Settings of edgefer; every key is in docs/configuration.md.\n"
            "# edgefer config check FILE looks for mistakes, edgefer run --config FILE starts.\n\n"
            "# edgefer cameras lists what this machine has.\n"
            f"camera = {camera}\n\n"
            "# Where the expression goes: mirror: is a page on this machine, mqtt://HOST/TOPIC a\n"
            "# broker such as Home Assistant's.\n"
            f"sinks = {_toml(sinks)}\n\n"
            "# Of several faces: the nearest, or the whole household.\n"
            f"whose = {whose}\n\n"
            "[mirror]\n"
            "# auto follows the browser; de, en, es, zh.\n"
            f"language = {language}\n\n"
            "[history]\n"
            "# Days for which shares of moods are kept, without images; 0 keeps none.\n"
            f"keep_days = {self.keep_days}\n"
        )


def check(path: Path) -> list[str]:
    """Return all that is wrong with a file, a line each: file, line, key, what was expected.

    Raises `SettingsError` for a file that cannot be read or is not TOML.
    """
    table, places = read_toml(path), lines(read_text(path))
    found = list(problems(table, Config))
    config = sound_part(table, Config, found) or Config()
    found += [*_addresses(config), *_by_model(config)]
    placed = sorted(((_place(places, one.key), one) for one in found), key=lambda pair: pair[0])
    return [f"{path}{f', line {line}' if line else ''}: {one}" for line, one in placed]


def _addresses(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with what is chosen by name or address."""
    mqtt = config.mqtt
    # What systemd hands to the service is there for it alone.
    if (mqtt.password_file or "").startswith(CREDENTIALS):
        mqtt = msgspec.structs.replace(mqtt, password_file=None)
    if (mqtt.key or "").startswith(CREDENTIALS):
        mqtt = msgspec.structs.replace(mqtt, certificate=None, key=None)
    openings: list[tuple[str, Callable[[], object]]] = [
        ("camera", partial(camera_address, config.camera)),
        *(("sinks", partial(open_sink, one, SinkContext(mqtt=mqtt))) for one in config.sinks),
    ]
    if config.detector is not None:
        openings.append(("detector", partial(open_detector, config.detector)))
    for key, opening in openings:
        try:
            opening()
        except EdgeferError as exc:
            yield Problem(key, f": {exc}")


def _by_model(config: Config) -> Iterator[Problem]:
    """Yield what the model refuses, and what rules ask for that it lacks."""
    labels = EVERY_LABEL
    try:
        labels = decoder_of(config, model_of(config)).labels
    except EdgeferError as exc:
        yield Problem("", str(exc))
    yield from rule_problems(config.content, labels, config.sinks)


class Row(msgspec.Struct, frozen=True):
    """One setting in force."""

    setting: str
    """As TOML, without secrets."""
    source: str
    """`default`, the file and its line, or the environment variable."""


def describe(path: Path | None) -> list[Row]:
    """Return each setting in force, and where it comes from.

    Raises `SettingsError` for a file that is not valid.
    """
    places = {} if path is None else lines(read_text(path))
    rows = []
    for key, value in _leaves(msgspec.to_builtins(load_config(path))):
        source = f"{path}, line {places[key]}" if key in places else "default"
        if key == "mqtt.user" and value is None and USER in os.environ:
            rows.append(Row(f"{key} = {_toml(os.environ[USER])}", f"environment variable {USER}"))
        elif value is None:
            rows.append(Row(f"# {key} is not set", source))
        else:
            rows.append(Row(f"{key} = {_toml(_masked(value))}", source))
    return [*rows, *_own_calibration(load_config(path))]


def _own_calibration(config: Config) -> Iterator[Row]:
    """Yield what `edgefer enroll` stored, where the model can be opened."""
    with contextlib.suppress(BundleError, SettingsError):
        store = store_of(config, state_folder(config.state))
        try:
            own = store.read()
        except StateError as exc:
            yield Row(f"# own calibration: not used: {exc}", str(store.path))
        else:
            if own is not None:
                yield Row(f"# own calibration: {own.summary}", str(store.path))


def lines(text: str) -> dict[str, int]:
    """Return the line of each key and table of a TOML text, by the names that `Problem` has."""
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    prefix = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            name = header[2]
            prefix, where = f"{name}.", name
            if header[1] == "[[":
                counts[name] = counts.get(name, 0) + 1
                where = f"[[{name}]] {counts[name]}"
                prefix = f"{where}: "
                found.setdefault(name, number)
            found.setdefault(where, number)
        elif key := KEY.match(line):
            found.setdefault(prefix + key[1].replace('"', ""), number)
    return found


def _place(places: Mapping[str, int], key: str) -> int:
    """Return the line of a key, else of the table around it, else 0."""
    key = key if key.startswith("[[") else key.strip("[]")
    while key and key not in places:
        key = re.split(r"[.:][^.:]*$", key)[0] if re.search("[.:]", key) else ""
    return places.get(key, 0)


def _leaves(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield above + key, value


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list | tuple):
        return [_masked(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _masked(one) for key, one in value.items() if one is not None}
    return value


def _toml(value: Any) -> str:
    """Return a value as TOML writes it on one line."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
