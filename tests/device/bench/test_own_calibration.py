"""`edgefer dev calibration`: what a household's own calibration does to drawn people."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from edgefer.cli import main


def test_who_is_read_unusually_gains_and_another_loses_little(data: Path) -> None:
    words = ["dev", "calibration", "--data", str(data), "--people", "40", "--json"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["parts"] == 5
    assert 0.2 < found["bias_spread"] < 1.0
    gains = {one["who"]: one["log_loss"][0] - one["log_loss"][1] for one in found["effects"]}
    assert gains["enrolled, 2x"] > 0.01
    assert gains["enrolled, 2x"] > gains["enrolled, 1x"] > -0.01
    assert min(gains.values()) > -0.03
    # The one real person is read well as he is: the floor changes nothing.
    assert (gains["single_face.mp4"], found["effects"][-1]["kept"]) == (0, 0)


def test_without_a_folder_it_says_what_is_missing() -> None:
    done = CliRunner().invoke(main, ["dev", "calibration"], env={"EDGEFER_DATA": ""})
    assert done.exit_code == 2
    assert "--data FOLDER" in done.stderr
