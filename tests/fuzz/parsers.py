"""Every parser of what strangers, files and other programs bring: its cases, and how it reads them.

A parser takes the case and the path of a file that it may write. The only outcomes are success
and one `EdgeferError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import cv2
import msgspec
import numpy as np
import tomlkit

from edgefer.bundle import Bundle, describe, open_bundle
from edgefer.files import to_zip
from edgefer.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from fuzz.cases import LETTERS, VALUES, Maker, all_of, always, damaged, edited, one_of, then, words
from fuzz.refusals import refusable
from support.bundles import manifest
from support.tflite_files import Op, Tensor, constant, tflite

Case = Any


@dataclass(frozen=True)
class Parser:
    """One parser."""

    cases: Callable[[], Maker]
    """Called once: what is damaged takes time to make."""
    read: Callable[[Case, Path], object]
    named: str = "case"
    """What a refusal has to name, a pattern: its file, a host."""


def toml_cases(text: str) -> Maker:
    """Return texts that are damaged, and tables that hold odd values."""
    table = tomlkit.parse(text).unwrap()
    plain = [value for value in VALUES if value is not None]
    whole, texts = damaged(text.encode()), damaged(text.encode(), LETTERS)
    return one_of(whole, texts, texts, *[edited(table, plain)] * 3)


def written(case: bytes | dict[str, Any], path: Path) -> Path:
    """Write a case as a TOML file; a value that TOML does not know makes it none."""
    lines = [] if isinstance(case, bytes) else [f"{_toml(k)} = {_toml(v)}" for k, v in case.items()]
    content = case if isinstance(case, bytes) else "\n".join(lines).encode(errors="replace")
    path.write_bytes(content)
    return path


def _toml(value: Any) -> str:
    """Return a value on one line, a table as an inline one; tomlkit is a hundred times slower."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_toml(key)} = {_toml(one)}' for key, one in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else repr(value)
    return text.replace("\x7f", "\\u007f")


RULE = """
[[content.rule]]
mood = ["happy", "sad"]
from = "08:00"
to = "22:00"
minutes = 5.0
rest = 10.0
text = "Hello"
link = "https://example.org"
mqtt = { topic = "x/y", payload = "z", retain = true }
command = ["echo", "x"]
timeout = 10.0
"""


@cache
def configuration() -> str:
    """Return a file with every key at its default, and a content rule."""
    from edgefer_device.daemon.configuration import Config

    def without_none(table: dict[str, Any]) -> dict[str, Any]:
        return {
            key: without_none(value) if isinstance(value, dict) else value
            for key, value in table.items()
            if value is not None
        }

    chosen = Config(
        "demo:", model="/nowhere", signed_by="key.pub", sinks=("mqtt://u:p@host/topic",)
    )
    table = without_none(msgspec.to_builtins(chosen))
    table["content"]["allow_commands"] = True
    del table["content"]["rule"]
    return tomlkit.dumps(table) + RULE


def read_configuration(case: Case, path: Path) -> None:
    from edgefer_device.cameras.opening import camera_address
    from edgefer_device.daemon.configuration import load_config

    config = load_config(written(case, path))
    repr(config)
    with refusable():
        camera_address(config.camera)


def read_address(case: str, _: Path) -> None:
    from edgefer_device.cameras.opening import camera_address
    from edgefer_device.deploy.inventory import parse_host
    from edgefer_device.sinks.opening import open_sink
    from edgefer_device.system.address import Url, redacted

    redacted(case)
    for parse in (camera_address, open_sink, parse_host, lambda one: Url.parse(one, "URL")):
        with refusable():
            parse(case)
    camera_address(case)


def addresses() -> Maker:
    return words(
        *("auto:", "v4l2:", "picamera2:", "gstreamer:", "rtsp://", "http://", "file:", "images:"),
        *("demo:", "faulty:", "console:", "jsonl:", "mqtt://", "mqtts://", "mirror:", "metrics:"),
        *("webhook:", "https://", "user:pass@", "host", ":8137", "[::1]", ":99999", "/path", "?"),
        *(
            "rate=5",
            "&",
            "loop=1",
            "#",
            "crop=480x480+80+0",
            "rotate=90",
            "pace=",
            "@",
            "%2F",
            "=",
            "-",
        ),
        *("every=", "stall=5s", "size=640x480", "max_mb=1", "keep=5"),
    )


@cache
def manifest_table() -> dict[str, Any]:
    """Return the manifest of the shipped tiny model, as plain values."""
    held: dict[str, Any] = msgspec.json.decode(write_manifest(open_bundle("tiny").manifest))
    return held


def encoded(case: Case) -> bytes:
    """Return a case as JSON; bytes as they are."""
    return case if isinstance(case, bytes) else _json(case)


def _json(value: Any) -> bytes:
    return json.dumps(value, default=str).encode(errors="replace")


def manifests() -> Maker:
    text = _json(manifest_table())
    return one_of(*[edited(manifest_table())] * 2, damaged(text), damaged(text, LETTERS))


def read_manifest_case(case: Case, _: Path) -> Manifest:
    return read_manifest(encoded(case), MANIFEST)


def bundles() -> Maker:
    """Return zips: damaged, or of a manifest that names its files rightly but is odd otherwise."""
    table = msgspec.json.decode(write_manifest(manifest()))
    files = {"model.int8.tflite": b"not a real model", "labels.txt": b"angry\n"}
    whole = to_zip({MANIFEST: _json(table), **files})
    odd = then(edited(table), lambda one: to_zip({MANIFEST: _json(one), **files}))
    shown = edited({"heads": manifest_table()["heads"]})
    return one_of(
        damaged(whole),
        odd,
        odd,
        then(shown, lambda one: to_zip({MANIFEST: _json({**table, **one}), **files})),
    )


def read_bundle(case: bytes, path: Path) -> None:
    from rich.console import Console

    from edgefer import inspection

    path.write_bytes(case)
    opened = open_bundle(path)
    if hashlib.sha256(case).digest()[0] < 16:  # tables take most of the time
        with contextlib.redirect_stdout(io.StringIO()):
            inspection.show(opened)
            Console().print(inspection.gate_table(opened.manifest.gate))


@cache
def small_tflite() -> bytes:
    """Return a file with a few operations and constants."""
    return tflite(
        [
            Tensor((1, 4)),
            constant([1, 2, 3, 4], "int8", 0.1),
            Tensor((1, 4)),
            constant([1, 4]),
            Tensor((1, 4)),
        ],
        [
            Op("ADD", (0, 1), (2,), kind="Add"),
            Op("RESHAPE", (2, 3), (4,), kind="Reshape"),
        ],
    )


def as_bundle(format: str, content: bytes) -> Bundle:
    files = {format: describe("model", content, "a runtime")}
    return Bundle(Path("case"), msgspec.structs.replace(manifest(), files=files), {format: content})


def read_tflite(case: bytes, _: Path) -> None:
    from edgefer.runtime import open_classifier
    from edgefer.tflite_file import read_graph

    with refusable("case"):
        open_classifier(as_bundle("int8", case), "int8")
    read_graph(case, "case")


@cache
def small_onnx() -> bytes:
    """Return a file of two operations with a constant."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.ones((16, 7), np.float32), "weights")
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 7])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def read_onnx(case: bytes, path: Path) -> None:
    from edgefer.runtime import open_classifier
    from edgefer_convert.importers.onnx_model import open_onnx

    with refusable("case"):
        open_classifier(as_bundle("onnx", case), "onnx")
    path.write_bytes(case)
    open_onnx(path, "0..1")


PIXELS = " ".join(["7"] * 48 * 48)
CSV = f"emotion,pixels,Usage\n0,{PIXELS},Training\n3,{PIXELS},PublicTest\n6,{PIXELS},PrivateTest\n"
VOTES = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0\nPublicTest,,1,0,0,1,8,0,0,0,0,0\n"
    "PrivateTest,fer0000002.png,9,1,0,0,0,0,0,0,0,0\n"
)


def csv_cases() -> Maker:
    """Return both tables with odd cells, most of them not among the pixels."""
    cells = ["", "7", "-1", "256", "1e9", "x", '"', "9" * 30, "Training", "\0", "é"]

    def table(text: str) -> Maker:
        lines = [line.split(",") for line in text.splitlines()]

        def put(draw: Random) -> bytes:
            held = [list(line) for line in lines]
            row = draw.choice(held)
            row[draw.randrange(len(row))] = draw.choice(cells)
            return draw.choice("\n\r").join(map(",".join, held)).encode()

        return one_of(put, damaged(text.encode()), damaged(text.encode(), LETTERS))

    return all_of(one_of(table(CSV), always(CSV.encode())), table(VOTES))


def read_csv(case: tuple[bytes, bytes], path: Path) -> None:
    from edgefer_train.data import fer2013, ferplus

    faces, votes = path.with_suffix(".csv"), path.parent / ferplus.FILE
    faces.write_bytes(case[0])
    votes.write_bytes(case[1])
    with refusable(ferplus.FILE):
        ferplus.votes_by_name(path.parent, ["fer0000000.png"])
    fer2013.read(faces, 48)


def npz_cases() -> Maker:
    """Return archives that are damaged, and such with arrays of other shapes and types."""
    arrays: dict[str, Any] = {
        "images": np.zeros((3, 48, 48), np.uint8),
        "labels": np.array([0, 3, 6], np.int8),
        "usage": np.array([0, 1, 2], np.int8),
    }
    dtypes = ("uint8", "int64", "float32", "float64", "bool", "U3", "complex64", "datetime64[s]")

    def pack(draw: Random) -> bytes:
        name = draw.choice([*arrays, "ferplus_votes"])
        shape = draw.choices([0, 1, 3, 10, 48], k=draw.randrange(5))
        with np.errstate(all="ignore"):
            odd = np.full(shape, draw.choice([0, 1, 6, 7, -1, 255, 2**62]))
            odd = odd.astype(draw.choice(dtypes))
        file = io.BytesIO()
        np.savez(file, **{**arrays, name: odd})
        return file.getvalue()

    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return one_of(damaged(file.getvalue()), pack)


def read_npz(case: bytes, path: Path) -> None:
    from edgefer_train.data import fer2013

    path = path.with_suffix(".npz")
    path.write_bytes(case)
    (path.parent / "fer2013new.csv").unlink(missing_ok=True)
    fer2013.read(path, 48)


def images() -> Maker:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colour = np.dstack([grey, grey[::-1], grey.T])
    made = [
        cv2.imencode(ending, image)[1].tobytes()
        for image in (grey, colour)
        for ending in (".png", ".jpg", ".bmp", ".webp", ".tif", ".pgm")
        if not (ending == ".pgm" and image.ndim == 3)
    ]
    return one_of(*map(damaged, made), lambda draw: draw.randbytes(draw.randrange(40)))


def read_image_case(case: bytes, path: Path) -> None:
    from edgefer_device.system.image_file import read_image
    from edgefer_train.data.files import read_grey

    path.write_bytes(case)
    with refusable("case"):
        read_grey(path)
    read_image(path)


@cache
def history_file() -> bytes:
    """Return a small history."""
    import tempfile

    from edgefer_device.sinks.history.store import HistoryStore

    with tempfile.TemporaryDirectory() as folder:
        store = HistoryStore(Path(folder) / "history.sqlite")
        store.add({29_000_000 + n: {"happy": 3.0, "sad": 1.0} for n in range(3)})
        connection = sqlite3.connect(store.path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()
        return store.path.read_bytes()


def histories() -> Maker:
    """Return files that are damaged, and rows that somebody else wrote."""
    odd = [*VALUES[:40], b"\xff"]

    def rows(draw: Random) -> list[tuple[Any, ...]]:
        return [tuple(draw.choices(odd, k=3)) for _ in range(draw.randint(1, 3))]

    return one_of(damaged(history_file()), rows)


def read_history(case: Case, path: Path) -> None:
    from datetime import datetime

    from edgefer_device.sinks.history import report
    from edgefer_device.sinks.history.store import HistoryStore, totals

    path.write_bytes(history_file() if isinstance(case, list) else case)
    if isinstance(case, list):
        _write_rows(path, case)
    store = HistoryStore(path)
    spans = store.last_days(None)
    totals(spans, datetime.date)
    report.to_csv(spans)
    report.to_json_lines(spans)
    list(report.tables(report.by_day(spans), 80))
    store.prune(29_000_000, 90)


def _write_rows(path: Path, rows: list[tuple[Any, ...]]) -> None:
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA synchronous = OFF")
        for row in rows:
            # What SQLite itself refuses is no case.
            with contextlib.suppress(sqlite3.Error, OverflowError, UnicodeError):
                file.execute("INSERT INTO moods VALUES (?, ?, ?)", row)
        file.commit()


RECIPE = """
architecture = "tiny"
labels = "fer2013"
split = "72/8/20"
seed = 3
side = 48
weights = ["small"]
frozen = false
[fit]
epochs = 30
epoch_share = 0.5
batch_size = 128
learning_rate = 0.05
optimizer = "adam"
schedule = "plateau"
balance = "batches"
xla = "auto"
precision = "bfloat16"
sizes = [24, 36, 48]
[augment]
rotation = 10.0
noise = 0.5
mixup = 0.2
[distill]
teachers = ["small"]
weight = 0.5
temperature = 2.0
[quantize]
epochs = 3
learning_rate = 0.003
"""


def read_recipe(case: Case, path: Path) -> None:
    from edgefer_train.recipe import load_recipe

    load_recipe(str(written(case, path.with_suffix(".toml"))))


FLEET = """
wave = 2
pause = 30
[defaults]
target = "rpi"
kiosk = true
[groups.hall]
hosts = ["pi@one.local", "pi@two.local:22"]
settings.mirror.language = "de"
[groups.kitchen]
hosts = ["pi@three.local"]
model = "tiny"
camera = false
[hosts."pi@two.local:22"]
settings.camera = "v4l2:/dev/video2"
"""


def read_fleet(case: Case, path: Path) -> None:
    from edgefer_device.deploy.inventory import read_inventory

    inventory = read_inventory(written(case, path))
    inventory.entries(list(inventory.groups)[:1])


SHORT = """
# Comments stay.
camera = "demo:"
sinks = ["console:", "mqtt://user:word@host/topic"]
[mqtt]
name = "Hall" # too
[quality]
smallest = 24.0
"""
"""tomlkit needs a hundred times as long for a file as others."""


def merges() -> Maker:
    """Return the file on a device, what was deployed before, and what is wanted."""
    short = toml_cases(SHORT)
    wanted = edited(
        tomlkit.parse(SHORT).unwrap(), [one for one in VALUES if one not in (None, [None])]
    )
    return all_of(short, one_of(always(SHORT.encode()), short), wanted)


def read_merge(case: tuple[Case, Case, Case], path: Path) -> None:
    from edgefer.text_files import decode_text
    from edgefer_device.deploy.merge import checked, merge

    device, before = (
        decode_text(written(one, path).read_bytes(), "host: edgefer.toml") for one in case[:2]
    )
    checked(merge(device, before, SHORT, case[2], "host").text, "host")


def target_messages() -> Maker:
    release = {"id": "a", "version": "1", "formats": ["int8"], "made": 5, "bases": [], "wheels": []}
    outcome = {"result": "committed", "reason": None, "time": 5, "seconds": 1.5, "token": "t"}
    releases = {"running": "a", "pending": None, "outcome": outcome, "releases": [release]}
    part = {"camera": {"ok": False, "note": "lost"}}
    status = {
        "ok": True, "paused": False, "camera": "auto:", "camera_open": True, "analysed": 5,
        "page": None, "parts": part, "version": "1", "mood": "happy",
    }  # fmt: skip
    facts = (
        "kernel=Linux\nmachine=aarch64\nbits=64\nglibc=2.36\nsystem=Debian\nname=pi\nsystemd=yes\n"
        "python=3.11 64\nfree=9000000\nspool=9000000\nrunning=\nsystem_numpy=1.26\n"
    )
    tables = (releases, outcome, status, {"runtime": "litert", "threads": 2})
    odd = [then(edited(table), _json) for table in tables]
    return one_of(
        *odd, *(damaged(_json(table), LETTERS) for table in tables), damaged(facts.encode())
    )


def read_target_message(case: bytes, _: Path) -> None:
    from edgefer_device.deploy import fleet_status, preflight, release_builder
    from edgefer_device.deploy.agent.messages import DaemonStatus, Outcome, Releases
    from edgefer_device.deploy.agent_client import parsed
    from edgefer_device.deploy.targets import TARGETS

    text = case.decode(errors="replace")

    class Remote:
        """A target that answers whatever it is asked for with the case."""

        def run(self, *_: object) -> str:
            return text

        def send(self, *_: object) -> None:
            pass

    remote: Any = Remote()
    fleet_status.over_ssh([("host", lambda: contextlib.nullcontext(remote))])
    if case.startswith(b"{"):
        for kind in (DaemonStatus, Outcome, Releases):
            with refusable("asking"):
                parsed(kind, text, "asking")
        with refusable("measuring"):
            release_builder.tune(remote, "a", None, lambda _: None)
        return
    machine = preflight.inspect(remote, ("mosquitto",), "host")
    preflight.require(machine, TARGETS["rpi"], "host", new=True)
    machine.python(system_numpy=True)


def wire_messages() -> Maker:
    tables = (
        {"command": "threshold", "value": 0.5},
        {"command": "status"},
        {"command": "pause"},
        {"result": {"ok": True, "parts": {}}, "error": None},
        {"mood": "happy", "problem": None, "paused": False},
        {"version": "1"},
    )
    texts = words("ON", "OFF", "PRESS", "0.5", "nan", "1e400", "online")
    return one_of(
        *(then(edited(table), _json) for table in tables),
        *(damaged(_json(table), LETTERS) for table in tables),
        then(texts, lambda text: text.encode(errors="replace")),
    )


def read_wire_message(case: bytes, path: Path) -> None:
    from edgefer_device.daemon import control_socket
    from edgefer_device.deploy import fleet_status
    from edgefer_device.pipeline.control_state import Controls
    from edgefer_device.sinks.mirror.settings import MirrorSettings
    from edgefer_device.sinks.mqtt.broker import MqttSettings, parse_broker
    from edgefer_device.sinks.mqtt.commands import Commands
    from edgefer_device.sinks.opening import SinkContext, open_sink

    controls = Controls()
    commands = Commands(parse_broker("mqtt://host/topic", MqttSettings()), controls)
    for topic in commands.topics:
        commands.handle(topic, case, retained=False)
    server = control_socket.ControlServer(
        path.parent,
        {
            "threshold": lambda value: controls.set_threshold(
                float(isinstance(value, float) and value)
            )
        },
    )
    msgspec.json.encode(server._handle(case))
    page: Any = open_sink("mirror:", SinkContext(mirror=MirrorSettings(), controls=controls))
    page._handle(case.decode(errors="replace"))
    fleet_status.describe(
        [
            one
            for leaf in ("state", "diagnostics")
            if (one := fleet_status._retained("topic", {"availability": b"online", leaf: case}))
        ]
    )


PARSERS = {
    "addresses": Parser(addresses, read_address, ""),
    "configuration": Parser(
        lambda: toml_cases(configuration()), read_configuration, r"case|the key"
    ),
    "recipe": Parser(lambda: toml_cases(RECIPE), read_recipe),
    "fleet": Parser(lambda: toml_cases(FLEET), read_fleet),
    "manifest": Parser(manifests, read_manifest_case, MANIFEST),
    "wire messages": Parser(wire_messages, read_wire_message, ""),
    "target's messages": Parser(target_messages, read_target_message, "host"),
    "image": Parser(images, read_image_case),
    "bundle": Parser(bundles, read_bundle),
    "csv": Parser(csv_cases, read_csv, ".csv"),
    "npz": Parser(npz_cases, read_npz),
    "tflite": Parser(lambda: damaged(small_tflite()), read_tflite),
    "merge": Parser(merges, read_merge, "host"),
    "history": Parser(histories, read_history),
    "onnx": Parser(lambda: damaged(small_onnx()), read_onnx),
}
"""By name, the quickest first."""
