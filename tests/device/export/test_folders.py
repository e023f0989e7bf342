"""`edgefer export web|android|ios`: what is written, and what is refused in one line."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import re
import shutil
import threading
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

import edgefer
from edgefer.bundle import open_bundle, write_bundle
from edgefer.cli import main
from edgefer.errors import FetchError
from edgefer.labels import FER2013
from edgefer.portrait import portrait_crops
from edgefer_device.export.contract import FILES
from edgefer_device.export.folder import RECORD
from edgefer_device.export.npm import Package, fetch, member
from edgefer_device.export.web import LITERT, PAGE, headers_of, policy_of, web_files
from edgefer_device.pipeline.frame_rate import FrameRateSettings
from edgefer_device.sinks.mirror.settings import languages, load_texts
from phone_speed import unhurried
from support.cache import ROOT
from support.live_page import LivePage
from support.mediapipe import classified
from support.npm import CACHE

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def files() -> Files:
    return web_files(open_bundle("small"), CACHE)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of the test's own, which has the runtime already."""
    folder = tmp_path / "cache" / "edgefer"
    folder.mkdir(parents=True)
    fetch(LITERT, CACHE)
    (folder / LITERT.file).symlink_to(CACHE / LITERT.file)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent))
    return folder


def export(*words: object) -> Result:
    return CliRunner().invoke(main, ["export", *map(str, words)])


def only_line(result: Result) -> str:
    """The one line that was said on an error."""
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    return line


# --- the page's folder -------------------------------------------------------


def test_the_folder_is_the_page_and_little_to_download(files: Files, tmp_path: Path) -> None:
    result = export("web", "--out", tmp_path / "web")
    assert result.exit_code == 0, result.output
    written = {path.name: path.read_bytes() for path in (tmp_path / "web").iterdir()}
    assert written.pop(RECORD)
    assert written == files
    total = sum(map(len, written.values()))
    assert total <= 5_500_000  # two detectors and the licences among it
    assert f"{len(files)} files, {total:,} bytes" in result.output


def test_the_service_worker_names_every_file_by_its_hash(files: Files) -> None:
    head, _, program = files["service.js"].partition(b";\n")
    release = msgspec.json.decode(head.removeprefix(b"self.RELEASE = "))
    assert release["files"].keys() == files.keys() - {"service.js"}
    for name, entry in release["files"].items():
        assert entry["bytes"] == len(files[name])
        assert entry["hash"].encode() == base64.b64encode(hashlib.sha256(files[name]).digest())
    assert program == (PAGE / "service.js").read_bytes()
    assert release["policy"] == policy_of(files)


def test_another_model_is_another_version_and_the_same_one_is_not(files: Files) -> None:
    assert web_files(open_bundle("small"), CACHE) == files
    other = web_files(open_bundle("tiny"), CACHE)
    changed = {name for name in files if files[name] != other[name]}
    assert changed == {"classifier.bin", "contract.json", "service.js"}


def test_the_licences_of_its_parts_come_with_it(files: Files) -> None:
    text = files["LICENSES.txt"].decode()
    assert [part for part in ("LiteRT", "BlazeFace", "MediaPipe") if part not in text] == []
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
    assert [name for name in files if name.endswith("OFL.txt")]


def test_the_model_is_the_bundles_own(files: Files) -> None:
    assert gzip.decompress(files[FILES["classifier"]]) == open_bundle("small").read("int8")
    contract = msgspec.json.decode(files["contract.json"])
    assert tuple(contract["labels"]) == FER2013
    assert (
        contract["temperature"] == open_bundle("small").manifest.decoder().calibration.temperature
    )


def test_the_policy_lets_nothing_in_from_elsewhere(files: Files) -> None:
    policy = policy_of(files)
    allowed = {word for rule in policy.split(";") for word in rule.split()[1:]}
    assert policy.startswith("default-src 'none'")
    assert allowed == {"'none'", "'self'", "'wasm-unsafe-eval'"}
    assert headers_of(files)["Content-Security-Policy"].endswith("frame-ancestors 'none'")


def test_an_earlier_export_is_replaced_and_a_strangers_folder_is_not(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        assert export("android", "--out", out).exit_code == 0
    assert "is the export of android; choose another --out" in only_line(
        export("ios", "--out", out)
    )
    damaged = (b"{", b'{"target":"android","files":{"\xff":"x"}}', b'{"files":' + b"[" * 100_000)
    for content in (*damaged, None):
        (out / RECORD).unlink() if content is None else (out / RECORD).write_bytes(content)
        line = only_line(export("android", "--out", out))
        assert "no earlier export; choose another --out" in line
    (tmp_path / "file").write_text("mine")
    assert "no earlier export" in only_line(export("ios", "--out", tmp_path / "file"))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_npm_put_into_an_exported_module_stays_when_it_is_exported_again(
    tmp_path: Path,
) -> None:
    out = tmp_path / "MMM-Edgefer"
    assert export("magicmirror", "--out", out).exit_code == 0
    program = out / "node_modules" / "mqtt" / "bin" / "mqtt.js"
    program.parent.mkdir(parents=True)
    program.write_text("// mqtt\n")
    (out / "node_modules" / ".bin").mkdir()
    (out / "node_modules" / ".bin" / "mqtt").symlink_to("../mqtt/bin/mqtt.js")
    record = msgspec.json.decode((out / RECORD).read_bytes())
    record["files"]["old.js"] = hashlib.sha256(b"of an earlier release").hexdigest()
    (out / "old.js").write_bytes(b"of an earlier release")
    (out / RECORD).write_bytes(msgspec.json.encode(record))
    assert export("magicmirror", "--out", out).exit_code == 0
    assert (out / "node_modules" / ".bin" / "mqtt").readlink() == Path("../mqtt/bin/mqtt.js")
    assert program.read_text() == "// mqtt\n"
    assert not (out / "old.js").exists()
    (out / ".git" / "refs" / "heads").mkdir(parents=True)
    assert export("magicmirror", "--out", out).exit_code == 0
    assert (out / ".git" / "refs" / "heads").is_dir()


def test_a_file_that_was_changed_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "MMM-Edgefer"
    assert export("magicmirror", "--out", out).exit_code == 0
    (out / "MMM-Edgefer.css").write_text("mine")
    line = only_line(export("magicmirror", "--out", out))
    assert "holds MMM-Edgefer.css, which was changed since the last export" in line
    assert (out / "MMM-Edgefer.css").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["web"], "expected --out FOLDER or --serve"),
        (["ios"], "Missing option '--out'"),
        (["android", "--serve"], "No such option"),
    ],
)
def test_wrong_usage_is_refused(words: list[str], complaint: str) -> None:
    result = export(*words)
    assert (result.exit_code, complaint in result.stderr) == (2, True), result.stderr


def test_a_model_that_is_not_there_is_refused_in_one_line() -> None:
    line = only_line(export("web", "--out", "x", "--model", "nothing"))
    assert "no such model bundle" in line


@pytest.mark.parametrize(
    ("target", "format", "advice"),
    [
        ("web", "int8", "--formats int8"),
        ("ios", "mobile", "--formats int8,mobile"),
    ],
)
def test_a_bundle_without_the_file_is_refused_with_what_to_do(
    target: str, format: str, advice: str, tmp_path: Path
) -> None:
    bundle = open_bundle("small")
    contents = {name: content for name, content in bundle.contents.items() if name != format}
    kept = {name: file for name, file in bundle.manifest.files.items() if name != format}
    manifest = msgspec.structs.replace(bundle.manifest, files=kept)
    write_bundle(tmp_path / "lacking", manifest, contents)
    line = only_line(export(target, "--model", tmp_path / "lacking", "--out", "x"))
    assert "which this bundle lacks" in line
    assert advice in line


def test_the_document_names_the_headers_that_are_sent(files: Files) -> None:
    document = (ROOT / "docs" / "mobile.md").read_text()
    for name, value in headers_of(files).items():
        assert f"    {name}: {value}\n" in document


# --- the look ----------------------------------------------------------------


def test_it_is_served_with_its_policy_to_this_machine_only(files: Files) -> None:
    with LivePage(files) as page:
        with urllib.request.urlopen(page.url) as answer:
            assert answer.read() == files["index.html"]
            assert answer.headers["Content-Security-Policy"].startswith(policy_of(files))
        with urllib.request.urlopen(page.url + "runtime.bin") as answer:
            assert answer.headers["Content-Encoding"] is None  # the page unpacks it itself
        foreign = urllib.request.Request(page.url, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="421"):
            urllib.request.urlopen(foreign)


def test_serve_is_a_verb_that_ends_by_ctrl_c(tmp_path: Path) -> None:
    import signal
    import subprocess
    import sys

    words = [sys.executable, "-m", "edgefer.cli", "export", "web", "--serve"]
    paths = os.pathsep.join(str(ROOT / part) for part in ("edge", "device"))
    with subprocess.Popen(
        words, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}
    ) as serving:
        assert serving.stderr is not None
        late = threading.Timer(120, serving.kill)
        late.daemon = True
        late.start()
        said = serving.stderr.readline()
        address = re.search(r"http://localhost:\d+/", said)
        assert address, said
        with urllib.request.urlopen(address[0]) as answer:
            assert b"edgefer" in answer.read()
        serving.send_signal(signal.SIGINT)
        assert serving.wait(20) == 0
        late.cancel()


# --- what npm gives ----------------------------------------------------------

NOISE = Package("noise", "1.0.0", "sha512-" + "A" * 86 + "==")


def fake_npm(folder: Path, does: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program called npm before the real one."""
    program = folder / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def test_a_tarball_with_another_hash_is_refused_and_not_kept(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path, 'echo changed >"$5/noise-1.0.0.tgz"', monkeypatch)
    with pytest.raises(FetchError, match=r"does not have the pinned sha512; nothing was kept"):
        fetch(NOISE)
    assert not (cache / NOISE.file).exists()


def test_a_damaged_cache_is_fetched_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / LITERT.file).unlink()
    (cache / LITERT.file).write_bytes(b"half")
    fake_npm(tmp_path, f'cp {CACHE / LITERT.file} "$5"', monkeypatch)
    assert fetch(LITERT) == (CACHE / LITERT.file).read_bytes()
    assert (cache / LITERT.file).stat().st_size > 1_000_000


def test_npms_own_reason_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(tmp_path, "echo 'npm ERR! code ENOTFOUND' >&2; exit 1", monkeypatch)
    with pytest.raises(FetchError, match=r"noise@1\.0\.0: npm could not fetch it: npm ERR! code"):
        fetch(NOISE)


def test_without_npm_it_is_reported_where_to_get_it(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / LITERT.file).unlink()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    line = only_line(export("web", "--out", tmp_path / "web"))
    assert "sudo apt-get install npm" in line
    assert not (tmp_path / "web").exists()


def test_a_package_that_lacks_a_file_is_reported() -> None:
    with pytest.raises(FetchError, match=r"the package has no nothing\.js"):
        member(fetch(LITERT), "nothing.js")


# --- words -------------------------------------------------------------------


@pytest.mark.parametrize("code", languages())
def test_every_language_of_the_mirror_is_the_pages_with_all_its_words(code: str) -> None:
    own = msgspec.json.decode((PAGE / "languages" / f"{code}.json").read_bytes(), type=dict)
    english = msgspec.json.decode((PAGE / "languages" / "en.json").read_bytes(), type=dict)
    assert own.keys() == english.keys()
    for table in ("troubles", "advice"):
        assert own[table].keys() == english[table].keys()
    assert ("{shares}" in own["ribbon"]) and all(own.values())


def test_every_text_that_the_page_asks_for_is_there() -> None:
    known = load_texts("en") | msgspec.json.decode((PAGE / "languages" / "en.json").read_bytes())
    asked = {
        key
        for path in (*PAGE.glob("*.js"), PAGE / "index.html")
        for key in re.findall(r"""(?:\btext\(|data-text=)"(\w+)\"""", path.read_text())
    }
    assert asked >= {"welcome", "turn", "update"}
    assert asked <= known.keys()
    support = (PAGE / "support.js").read_text()
    troubles = set(re.findall(r'"(\w+)"', support.partition("@typedef {")[2].partition("}")[0]))
    assert troubles == known["troubles"].keys()


# --- native apps -------------------------------------------------------------


@pytest.mark.parametrize(("target", "word"), [("android", "kotlin"), ("ios", "swift")])
def test_an_apps_folder_has_the_file_its_labels_and_the_lines(
    target: str, word: str, tmp_path: Path
) -> None:
    assert export(target, "--out", tmp_path / "app").exit_code == 0
    bundle = open_bundle("small")
    names = {path.name for path in (tmp_path / "app").iterdir()}
    assert names == {
        "small.tflite", "labels.txt", "thresholds.json", "README.md", "MODEL_CARD.md", RECORD,
    }  # fmt: skip
    assert (tmp_path / "app" / "small.tflite").read_bytes() == bundle.read("mobile")
    readme = (tmp_path / "app" / "README.md").read_text()
    lines = readme.partition(f"```{word}\n")[2].partition("```")[0]
    assert "ImageClassifier" in lines
    assert "small" in lines
    assert "$" not in readme.replace("{ ($0.categoryName", "").replace("$0.score", "")
    told = msgspec.json.decode((tmp_path / "app" / "thresholds.json").read_bytes())
    assert tuple(told["labels"]) == FER2013
    wanted = bundle.manifest.decoder(format="mobile").calibration.threshold
    assert told["mood"]["threshold"] == pytest.approx(wanted)


def test_mediapipe_loads_what_is_written_for_phones(mediapipe: list[str], tmp_path: Path) -> None:
    assert export("android", "--out", tmp_path / "app").exit_code == 0
    model = (tmp_path / "app" / "small.tflite").read_bytes()
    crops = portrait_crops(4, open_bundle("small").manifest.input.preprocess)
    faces = [crop[..., None].repeat(3, axis=-1) for crop in crops]
    said = classified(mediapipe, model, faces, tmp_path)
    assert all(set(answer) == set(FER2013) for answer in said)
    assert all(next(iter(answer)) == "happy" for answer in said)  # she smiles
    assert edgefer.__version__


def test_the_tool_that_times_the_page_knows_its_contract(files: Files) -> None:
    rates = msgspec.json.decode(unhurried(files)["contract.json"])["frame_rate"]
    assert set(rates) == set(msgspec.to_builtins(FrameRateSettings()))
    assert (rates["idle"], rates["active"]) == (1000, 0)
