"""docs/own-classes.md, typed: three odd classes through every verb, to the page and the broker."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path

import aiohttp
import cv2
import pytest
from click.testing import CliRunner

from docs.test_commands import ROOT
from edgefer.appearance import read_appearance, require_labels
from edgefer.bundle import Bundle, open_bundle
from edgefer.cli import main
from edgefer.errors import SettingsError
from edgefer.labels import FER2013
from edgefer_device.daemon.assembly import sink_context
from edgefer_device.daemon.configuration import Config, decoder_of
from edgefer_device.export.npm import fetch
from edgefer_device.export.web import LITERT
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.pipeline.health import Health
from edgefer_device.sinks.mirror.settings import MirrorSettings
from edgefer_device.sinks.mirror.sink import MirrorSink
from edgefer_device.sinks.mqtt import discovery
from edgefer_device.sinks.mqtt.broker import MqttSettings, parse_broker
from edgefer_device.web.server import WebServer
from edgefer_train.data.sources import load
from support.npm import CACHE

CLASSES = ("Bored Stiff", "Überrascht", "😀")
SOURCES = dict(zip(CLASSES, ("neutral", "surprise", "happy"), strict=True))
COUNT = 60


@pytest.fixture(scope="module")
def typed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command of the document printed; the folder's path is that of ``."""
    folder = tmp_path_factory.mktemp("own")
    faces = load(data).faces
    for name, source in SOURCES.items():
        (folder / "my_faces" / name).mkdir(parents=True)
        rows = (faces.labels == FER2013.index(source)).nonzero()[0][:COUNT]
        for at, row in enumerate(rows):
            content = cv2.imencode(".png", faces.images[row])[1].tobytes()
            (folder / "my_faces" / name / f"{at}.png").write_bytes(content)
    text = (ROOT / "docs" / "own-classes.md").read_text("utf-8")
    for name, content in re.findall(r"`(\w+\.toml)`[^`]*?```toml\n(.*?)```", text, re.DOTALL):
        (folder / name).write_text(content, "utf-8")
    printed = {"": str(folder)}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        # The page's runtime, as other tests keep it.
        fetch(LITERT, CACHE)
        (folder / "edgefer").mkdir()
        (folder / "edgefer" / LITERT.file).symlink_to(CACHE / LITERT.file)
        patched.setenv("XDG_CACHE_HOME", str(folder))
        for line in re.findall(r"(?m)^    edgefer (.*)$", text):
            done = CliRunner().invoke(main, shlex.split(line))
            assert done.exit_code == 0, f"{line}\n{done.output}"
            printed[line.split()[0]] = done.stdout
    return printed


@pytest.fixture(scope="module")
def bundle(typed: dict[str, str]) -> Bundle:
    return open_bundle(Path(typed[""]) / "mine")


def test_the_bundle_has_the_classes_as_their_folders_are_named(bundle: Bundle) -> None:
    (head,) = bundle.manifest.heads
    assert head.labels == CLASSES
    assert bundle.read("labels").decode().splitlines() == list(CLASSES)
    assert head.calibration.scores["int8"].accuracy > 0.5, "better than a guess of three"
    assert all(label in bundle.read("card").decode() for label in CLASSES)


def test_an_image_and_the_daemon_report_them(typed: dict[str, str]) -> None:
    assert any(label in typed["predict"] for label in (*CLASSES, "unknown"))
    lines = (Path(typed[""]) / "seen.jsonl").read_text("utf-8")
    reports = [json.loads(line) for line in lines.splitlines()]
    assert len(reports) == 20
    seen = [tuple(face["probabilities"]) for one in reports for face in one["faces"]]
    assert CLASSES in seen
    assert set(seen) <= {(), CLASSES}


def test_exports_have_them(typed: dict[str, str]) -> None:
    folder = Path(typed[""])
    contract = json.loads((folder / "page" / "contract.json").read_text("utf-8"))
    assert tuple(contract["labels"]) == CLASSES
    german = json.loads((folder / "page" / "texts.de.json").read_text("utf-8"))
    assert german["moods"]["Bored Stiff"] == "gelangweilt"
    assert (folder / "app" / "labels.txt").read_text("utf-8").splitlines() == list(CLASSES)


def test_the_mirror_page_has_their_names_and_colours(bundle: Bundle) -> None:
    async def served() -> dict[str, object]:
        server = WebServer("page", "127.0.0.1", 0)
        settings = MirrorSettings(language="de")
        mirror = MirrorSink(server, settings, appearance=bundle.manifest.appearance)
        async with (
            mirror,
            aiohttp.ClientSession() as session,
            session.get(f"{server.url}texts.json") as answer,
        ):
            texts: dict[str, object] = await answer.json()
            return texts

    texts = asyncio.run(served())
    moods = texts["moods"]
    assert isinstance(moods, dict)
    assert (moods["😀"], moods["happy"]) == ("lacht", "fröhlich")
    assert texts["colours"] == {"😀": "#ffcc00", "Bored Stiff": "#7788aa"}


def test_home_assistant_gets_them_as_options(bundle: Bundle) -> None:
    config = Config(model=str(bundle.path))
    device = sink_context(config, bundle, decoder_of(config, bundle), Health(), Controls()).device
    broker = parse_broker("mqtt://broker/mirror", MqttSettings())
    components = discovery.message(broker, "Mirror", device, commands=True)["components"]
    assert components["mood"]["options"][:3] == list(CLASSES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[colours]\n"😁" = "#ffcc00"', "no label '😁'; the labels are: angry"),
        ('[colours]\nhappy = "yellow"', "'happy' must be such as #ffcc00, got 'yellow'"),
        ('[names.German]\nhappy = "froh"', "a language must be such as de, got 'German'"),
        ('[names.de]\nhappy = ""', "must have 1 to 40 characters"),
        ('[colors]\nhappy = "#ffcc00"', "unknown key 'colors'; did you mean 'colours'"),
    ],
)
def test_an_appearance_that_cannot_be_is_refused_in_a_line(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=re.escape(said)) as refused:
        require_labels(read_appearance(tmp_path / "mine.toml"), FER2013, "mine.toml")
    assert "\n" not in str(refused.value)
