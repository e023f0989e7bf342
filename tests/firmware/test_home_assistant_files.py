"""Blueprints and card: every input is declared and used, every entity is one that we announce."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own

from edgefer_device.sinks.mqtt import discovery
from edgefer_device.sinks.mqtt.broker import parse_broker
from support.page_colours import colours

FILES = Path(__file__).parents[2] / "firmware-config" / "homeassistant"
BLUEPRINTS = sorted((FILES / "blueprints/automation/edgefer").glob("*.yaml"))


class Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped, see above
    """Reads `!input NAME` as Home Assistant does."""


class Input(str):
    """The name of an input."""

    __slots__ = ()


Loader.add_constructor("!input", lambda loader, node: Input(loader.construct_scalar(node)))


def inputs(node: Any) -> Iterator[Input]:
    if isinstance(node, Input):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from inputs(each)


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_asks_for_what_it_uses(path: Path) -> None:
    blueprint = yaml.load(path.read_text(), Loader)
    asked = blueprint["blueprint"]["input"]
    assert set(inputs(blueprint)) == set(asked)
    assert blueprint["blueprint"]["domain"] == "automation"
    assert all("selector" in one for one in asked.values())


def test_the_light_has_the_pages_colour_for_every_mood() -> None:
    blueprint = yaml.load((FILES / BLUEPRINTS[1]).read_text(), Loader)
    page = colours()
    wanted = {mood: page[mood].tolist() for mood in discovery.DeviceInfo().labels}
    assert blueprint["variables"]["colours"] == wanted


def test_the_card_shows_entities_that_are_announced() -> None:
    broker = parse_broker("mqtt://localhost/home/mirror")
    told = discovery.message(broker, "", discovery.DeviceInfo(), commands=True)["components"]
    announced = {part.get("default_entity_id") for part in told.values()}
    card = (FILES / "dashboard.yaml").read_text()
    shown = set(re.findall(r"\w+\.mirror_\w+", card))
    assert shown
    assert shown <= announced
    assert yaml.safe_load(card)["type"] == "vertical-stack"
