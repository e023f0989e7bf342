"""The JSON form of what the stages exchange."""

from __future__ import annotations

import json

from edgefer.messages import Prediction, to_json


def test_a_name_that_is_no_utf8_is_escaped() -> None:
    name = b"ph\xff.jpg".decode("utf-8", "surrogateescape")
    assert json.loads(to_json(Prediction(name, ())))["image"] == "ph\\udcff.jpg"
