"""`edgefer config`: write, check and explain a configuration file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer_device.daemon.configuration import load_config

BAD = """camera = "foo:"
model = ""
whose = "all"
sinks = ["mirror:", "mqtt://u:secret@h"]
[mood]
treshold = 3
[screen]
tool = "x"
[mqtt]
version = 5
qos = 7
discovery = "/x/"
[[content.rule]]
text = "x"
[[content.rule]]
text = "x"
minutes = -1
from = "25:00"
"""


def checked(path: Path, text: str) -> Result:
    path.write_text(text)
    return CliRunner().invoke(main, ["config", "check", str(path)])


def test_check_lists_every_mistake_with_its_line_and_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    done = checked(path, BAD)
    assert done.exit_code == 1
    start = f"edgefer: {path}, line "
    found = [line.removeprefix(start) for line in done.stderr.splitlines()]
    for number, text in enumerate([
        "1: camera: unknown camera 'foo:'; known: auto:",
        "2: model must be a text that is not empty, got an empty one",
        "3: whose must be one of household, nearest, got all",
        "4: sinks: mqtt://h: expected mqtt://",
        "6: unknown key 'mood.treshold'; did you mean 'mood.threshold'?",
        "8: screen.tool must be one of ",
        "9: [mqtt]: discovery must be without spaces",
        "10: mqtt.version must be one of 3.1.1, 5, got 5 without quotes",
        "11: mqtt.qos must be one of 0, 1, 2, got 7",
        "17: [[content.rule]] 2: minutes must be from 0 to 1440, got -1",
        "18: [[content.rule]] 2: from must be a time of day such as 06:30, got 25:00",
    ]):  # fmt: skip
        assert found[number].startswith(text)
    assert len(found) == 11
    assert "secret" not in done.stderr


def test_check_lists_each_mood_and_message_of_rules_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    done = checked(
        path,
        '[[content.rule]]\ntext = "x"\n[[content.rule]]\ntext = "x"\nmood = "hapy"\n'
        '[[content.rule]]\nmqtt = { topic = "x" }\n',
    )
    one, two = done.stderr.splitlines()
    assert one.startswith(f"edgefer: {path}, line 5: [[content.rule]] 2: mood: unknown mood 'hapy'")
    assert two.startswith(f"edgefer: {path}, line 7: [[content.rule]] 3: mqtt publishes, but no")


def test_check_says_what_the_model_refuses_beside_rules(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    done = checked(path, 'runtime = "tflte"\n[[content.rule]]\ntext = "x"\n')
    assert done.exit_code == 1
    assert f"edgefer: {path}: " in done.stderr
    assert "tflte" in done.stderr


def test_check_lists_what_the_model_lacks_and_what_cannot_be_opened_beside_wrong_keys(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.toml"
    done = checked(
        path,
        'camara = "demo:"\nlabels = "ferplus"\nmodel = "tiny"\ndetector = "whale"\n'
        'sinks = ["mqtt://h/t"]\nthreads = 0\n[mqtt]\npassword_file = "/nowhere/password"\n'
        '[[content.rule]]\ntext = "x"\nmood = "contemt"\n',
    )
    lines = [line.removeprefix(f"edgefer: {path}, line ") for line in done.stderr.splitlines()]
    for line, start in zip(lines, [
        "1: unknown key 'camara'; did you mean 'camera'?",
        "4: detector: unknown detector 'whale'; known: blazeface",
        "5: sinks: /nowhere/password: ",
        "6: threads must be from 1 to",
        "11: [[content.rule]] 1: mood: unknown mood 'contemt'; did you mean 'contempt'?",
    ], strict=True):  # fmt: skip
        assert line.startswith(start)


def test_check_reads_no_credential_that_the_service_alone_has(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    done = checked(
        path,
        'sinks = ["mqtts://h/t"]\n[mqtt]\ncertificate = "/nowhere.crt"\n'
        'password_file = "/run/credentials/edgefer.service/mqtt-password"\n'
        'key = "/run/credentials/edgefer.service/mqtt-key"\n',
    )
    assert done.exit_code == 0, done.stderr


def test_check_opens_the_model_of_a_file_that_is_sound_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('camera = "demo:"\n')
    assert CliRunner().invoke(main, ["config", "check", str(path)]).exit_code == 0
    done = checked(path, 'model = "/nowhere"\n')
    assert done.exit_code == 1
    assert "/nowhere: no such model bundle" in done.stderr


def test_show_names_the_source_of_each_setting_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.toml"
    path.write_text('camera = "rtsp://me:secret@cam/x"\n\n[mood]\nthreshold = 0.6\n')
    monkeypatch.setenv("EDGEFER_MQTT_USER", "ada")
    done = CliRunner().invoke(main, ["config", "show", str(path), "--json"])
    rows = map(json.loads, done.stdout.splitlines())
    sources = {row["setting"]: row["source"] for row in rows}
    assert sources['camera = "rtsp://cam/x"'] == f"{path}, line 1"
    assert sources["mood.threshold = 0.6"] == f"{path}, line 4"
    assert sources['model = "small"'] == "default"
    assert sources['mqtt.user = "ada"'] == "environment variable EDGEFER_MQTT_USER"
    assert sources["# signed_by is not set"] == "default"
    assert "secret" not in done.stdout


def test_init_asks_again_for_what_cannot_be_and_writes_a_file_that_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "edgefer.toml"
    answers = "foo:\ndemo:\nde\nmqtt://host/mirror\nhousehold\n90\n"
    done = CliRunner().invoke(main, ["config", "init", str(path)], input=answers)
    assert done.exit_code == 0
    assert "unknown camera 'foo:'" in done.stderr
    config = load_config(path)
    assert (config.camera, config.mirror.language, config.whose) == ("demo:", "de", "household")
    assert config.sinks == ("mirror:", "mqtt://host/mirror")
    assert config.history.keep_days == 90
    assert len([line for line in path.read_text().splitlines() if line.startswith("#")]) > 5
    again = CliRunner().invoke(main, ["config", "init", str(path)])
    assert "exists already" in again.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_the_verbs_that_begin_so(shell: str) -> None:
    script = CliRunner().invoke(
        main, [], prog_name="edgefer", env={"_EDGEFER_COMPLETE": f"{shell}_source"}
    )
    assert "_EDGEFER_COMPLETE" in script.stdout
    environment = {
        "_EDGEFER_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "edgefer config ch",
        "COMP_CWORD": "ch" if shell == "fish" else "2",
    }
    found = CliRunner().invoke(main, [], prog_name="edgefer", env=environment)
    assert "check" in found.stdout
