"""`edgefer bench` as a user meets it: what it measures, refuses, compares and writes."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from rich.console import Console

from edgefer.bundle import Bundle, open_bundle
from edgefer.cli import main
from edgefer.errors import SettingsError
from edgefer.machine import describe_machine
from edgefer.signature import make_keys
from edgefer.tflite_file import read_graph
from edgefer_device.bench.benchmarks import TimedFaceClassifier
from edgefer_device.bench.compare import permutation_test
from edgefer_device.bench.components import Request, noise, open_components
from edgefer_device.bench.lab.peak import convolution
from edgefer_device.bench.lab.sweep import Point, Sweep, beyond_bound
from edgefer_device.bench.loops import (
    Plan,
    Series,
    Turn,
    TurnClock,
    calling,
    run_in_turns,
    timing_of,
)
from edgefer_device.bench.result import Candidate, Timing, read_bench
from edgefer_device.bench.telemetry import (
    PowerMeter,
    Reading,
    Telemetry,
    not_sustained,
    read_sensors,
)
from edgefer_device.bench.tune import ranked, write_keys
from edgefer_device.bench.view import show_bench
from edgefer_device.daemon.configuration import load_config
from edgefer_device.pipeline.analyzer import FaceClassifier

ALONE = ("classifier, a face", "detector, a frame")
STAGES = ("next frame", "detect", "crop", "classify", "track and filter")
CALM = Reading(50.0, 1800.0, False)
MINE = """# my mirror
camera = "demo:"
model = 'small'   # the best
threads = 7 # too many

[mood]
threshold = 0.6  # sure
"""


def edgefer(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A short bench on a clip, with everything that can be asked."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "mine.toml").write_text(MINE)
    clip = f"file:{data / 'clips' / 'single_face.mp4'}"
    words = ["bench", "--short", "--camera", clip, "--data", data]
    words += ["--plot", folder / "short.png"]
    words += ["--tune", "--config", folder / "mine.toml", "--json", folder / "short.json"]
    done = edgefer(*words)
    assert done.exit_code == 0, done.output
    (folder / "said.txt").write_text(done.stdout)
    (folder / "notes.txt").write_text(done.stderr)
    return folder


def found(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "short.json").read_text())
    return read


def test_everything_is_timed_in_loops(short: Path) -> None:
    bench = found(short)
    names = [one["what"] for one in bench["timings"]]
    stages = [f"stage: {name}" for name in STAGES]
    assert names == [*ALONE, *stages, "all stages, a frame", "pipeline, a frame"]
    for one in bench["timings"]:
        assert sum(loop["calls"] for loop in one["loops"]) == one["calls"]
        assert 0 < one["best_second"] <= one["p50"] <= one["max"]
        assert (one["p99"] is None) == (one["calls"] < 100)
        assert one["cpu_ms"] > 0
    assert len(bench["timings"][0]["loops"]) == 5
    by_name = {one["what"]: one["calls"] for one in bench["timings"]}
    assert by_name["stage: detect"] < by_name["all stages, a frame"]


def test_the_table_is_whole_on_a_narrow_screen(short: Path) -> None:
    said = io.StringIO()
    show_bench(read_bench(short / "short.json"), Console(file=said, width=80))
    assert "…" not in said.getvalue()


def test_the_stages_make_up_a_frame(short: Path) -> None:
    timings = {one["what"]: one for one in found(short)["timings"]}
    cpu = sum(one["cpu_ms"] * one["calls"] for name, one in timings.items() if "stage:" in name)
    whole = timings["all stages, a frame"]
    assert cpu == pytest.approx(whole["cpu_ms"] * whole["calls"], rel=0.01)


def test_a_bench_records_its_machine_and_that_it_was_short(short: Path) -> None:
    bench, said = found(short), (short / "said.txt").read_text()
    assert bench["short"]
    assert "a short run: an impression, not a figure to quote" in said
    assert bench["hardware"]["cores"] == os.cpu_count()
    assert bench["hardware"]["versions"]["python"] == sys.version.split()[0]
    assert bench["hardware"]["kernel"].startswith("Linux")
    assert 30 < bench["startup"]["peak_mb"] < 300
    assert 0 < bench["startup"]["first_mood"] < 60
    assert 0.1 < bench["startup"]["first_mood_cpu"] < 10
    assert bench["load"]["load_ms"] > 0
    assert (bench["accuracy"]["images"], bench["accuracy"]["low"] > 0.55) == (500, True)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """The plot of all sweeps on a clip, with their JSON beside it."""
    plot = tmp_path_factory.mktemp("sweep") / "sweep.png"
    clip = f"file:{data / 'clips' / 'single_face.mp4'}"
    words = ["threads", "faces", "resolution", "rate", "--short", "--camera", clip, "--json"]
    done = edgefer("dev", "sweep", *words, "--plot", plot)
    assert done.exit_code == 0, done.output
    plot.with_suffix(".json").write_text(done.stdout)
    return plot


def sweeps(plot: Path) -> dict[str, Any]:
    done = json.loads(plot.with_suffix(".json").read_text())
    return {one["by"]: one for one in done["sweeps"]}


def test_the_cost_grows_with_the_faces(swept: Path) -> None:
    found = sweeps(swept)
    assert [*found] == ["threads", "faces", "resolution", "rate"]
    faces, resolution = found["faces"], found["resolution"]
    assert [point["value"] for point in faces["points"]] == [1, 2, 5, 10, 20]
    assert [point["value"] for point in resolution["points"]] == [480, 720, 1080, 2160]
    cpu = [point["timing"]["cpu_ms"] for point in faces["points"]]
    assert cpu[-1] > cpu[0]
    assert swept.read_bytes().startswith(b"\x89PNG")


def test_what_grows_has_a_bound(swept: Path) -> None:
    bounds = {by: [point["bound"] for point in one["points"]] for by, one in sweeps(swept).items()}
    assert bounds["resolution"] == pytest.approx(
        [bounds["resolution"][0] * times for times in (1, 2.25, 5.0625, 20.25)], rel=1e-4
    )
    once, *more = np.diff(bounds["faces"])
    assert more == pytest.approx([3 * once, 5 * once, 10 * once], rel=1e-3)
    assert len({*bounds["rate"]}) == 1


def test_a_value_beyond_its_bound_is_a_warning() -> None:
    timing = Timing("faces", 5, 1.0, 1.0, None, None, 1.0, 5.0, 12.0, ())
    within, past = Point(1, timing, 11.0), Point(20, timing, 10.0)
    (said,) = beyond_bound(Sweep("faces", "a picture", (within, past), "the rule"))
    assert said.startswith("faces 20: 12.00 ms exceeds its bound of 10.00 ms (the rule); ")


def test_the_peak_is_that_of_a_large_convolution() -> None:
    peak = json.loads(edgefer("dev", "peak", "--short", "--json").stdout)
    assert 0 < peak["classifier"] < peak["kernels"]
    assert peak["share"] == pytest.approx(peak["classifier"] / peak["kernels"], rel=1e-4)
    (op,) = read_graph(convolution(), "made").ops
    assert op.name == "CONV_2D"


def test_the_peak_and_a_sweep_are_shown_as_text() -> None:
    assert " GMAC/s in the classifier, " in edgefer("dev", "peak", "--short").stdout
    table = edgefer("dev", "sweep", "threads", "--short").stdout
    assert "the classifier, a face" in table
    assert "no slower with more threads" in table


def test_plots_are_png_files(short: Path) -> None:
    done = edgefer("bench", "compare", *[short / "short.json"] * 2, "--plot", short / "two.png")
    assert done.exit_code == 0, done.output
    for name in ("short.png", "two.png"):
        assert (short / name).read_bytes().startswith(b"\x89PNG")


def test_tuning_changes_two_lines_and_prints_them(short: Path) -> None:
    path, best = short / "mine.toml", found(short)["candidates"][0]
    setting = f'runtime = "{best["runtime"]}"\n'
    threads = best["threads"]
    wanted = MINE.replace("threads = 7", f"threads = {threads}")
    assert path.read_text() == wanted.replace("the best\n", f"the best\n{setting}")
    assert f"threads = 7 -> {threads}" in (short / "notes.txt").read_text()
    config = load_config(path)
    assert (config.runtime, config.threads) == (best["runtime"], threads)


def test_the_daemon_uses_the_configured_runtime(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    clip = data / "clips" / "single_face.mp4"
    path.write_text(f'camera = "file:{clip}"\nruntime = "onnxruntime"\nthreads = 2\n')
    program = (
        "import sys; from edgefer.cli import main\n"
        f"main(['run', '--config', {str(path)!r}, '--frames', '9'], standalone_mode=False)\n"
        "print('onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout.endswith(b"True\n")


def test_tuning_requires_the_configured_signature(tmp_path: Path) -> None:
    make_keys(tmp_path / "release")
    path = tmp_path / "mine.toml"
    path.write_text(f'signed_by = "{tmp_path / "release.pub"}"\n')
    done = edgefer("bench", "--short", "--tune", "--config", path)
    assert done.exit_code == 1
    assert "is not signed; expected a signature by" in done.stderr


def test_a_live_camera_is_benched_at_its_own_rate(tmp_path: Path) -> None:
    out = tmp_path / "live.json"
    done = edgefer("bench", "--camera", "demo:", "--short", "--runtime", "onnx", "--json", out)
    assert done.exit_code == 0, done.output
    bench = json.loads(out.read_text())
    assert bench["runtime"] == "onnx"
    # Fifteen, but for where a loop happens to begin and end.
    assert bench["timings"][-1]["rate"] < 25


def test_a_camera_too_slow_for_the_duration_is_refused_with_what_it_needs() -> None:
    done = edgefer("bench", "--camera", "demo:", "--duration", "1")
    assert done.exit_code == 1
    assert "too short for a 99th percentile: " in done.stderr
    assert "give --duration " in done.stderr
    assert done.stderr.count("\n") == 1


def without(bundle: Path, *formats: str) -> Path:
    """Copy the shipped bundle and take files out of it."""
    shutil.copytree(open_bundle("small").path, bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    for format in formats:
        (bundle / manifest["files"].pop(format)["path"]).unlink()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return bundle


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--camera", "v4l2:/dev/video99"], "/dev/video99"),
        (["--camera", "fax:"], "unknown camera 'fax:'; known: "),
        (["--camera", "file:none.mp4"], "none.mp4: no such video file"),
        (["none"], "none: no such model bundle"),
        (["--runtime", "onxruntime"], "unknown runtime 'onxruntime'; known: litert, onnxruntime"),
        (["--runtime", "keras"], "unknown runtime 'keras'; known: litert"),
        (["--runtime", "float16"], "has no file for the runtime 'float16' (float16); it has: int8"),
        (["--duration", "0.02"], "5 loops of 0.02 s are too short for a 99th percentile: "),
        (["--duration", "1", "--short"], "--short sets the time itself: give it without"),
        (["--plot", "a.svg"], "a.svg: expected a file whose name ends in .png"),
        (["--json", "none/a.json"], "none/a.json: no such folder none; create it first"),
        (["--short", "--data", "none"], "none: holds no fer2013.npz or fer2013.csv"),
        (["compare", "a.json", "b.json"], "a.json: cannot be read: No such file"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = edgefer("bench", *words)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_with_one_head_is_read_as_such() -> None:
    """`small` has two heads, its `mobile` file only the first."""
    components = open_components(open_bundle("small"), "mobile", Request(detector="haar"))
    crops = [noise(components.size)[0]]
    turn = TurnClock("stages", Plan(1.0))
    timed = TimedFaceClassifier(components, Series("crop", turn), Series("classify", turn))
    wanted = components.face_classifier().read(crops)
    assert timed.read(crops) == pytest.approx(wanted)
    assert timed.threshold == components.bundle.manifest.heads[0].calibration.threshold


def test_a_bundle_whose_first_file_has_one_head_is_read_as_such() -> None:
    bundle = open_bundle("small")
    files = {name: file for name, file in bundle.manifest.files.items() if name == "mobile"}
    manifest = replace(bundle.manifest, files=files)
    mobile = Bundle(bundle.path, manifest, bundle.contents)
    (row,) = FaceClassifier.open(mobile).read([noise(48)[0]])
    assert row.sum() == pytest.approx(1.0)


def test_a_bundle_for_another_runtime_lists_its_formats(tmp_path: Path) -> None:
    bundle = without(tmp_path / "b", "onnx", "onnx-int8", "onnx-symmetric")
    done = edgefer("bench", bundle, "--runtime", "onnxruntime")
    assert done.exit_code == 1
    wanted = "has no file for the runtime 'onnxruntime' (onnx-int8, onnx, onnx-symmetric); it has: "
    assert f"{wanted}int8, mobile\n" in done.stderr


def test_without_matplotlib_one_line_before_any_minute_is_spent(tmp_path: Path) -> None:
    program = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'matplotlib' else find(name, *a)\n"
        "from edgefer.cli import main; main(['bench', '--plot', 'a.png'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    wanted = "edgefer: matplotlib is not installed; run: pip install 'edgefer[train]'\n"
    assert (done.returncode, done.stderr) == (1, wanted)


def slower(path: Path, out: Path, factor: float) -> Path:
    """Write a bench as it would be with a slower classifier."""
    bench = json.loads(path.read_text())
    bench["timings"][0]["p50"] = factor
    for at, loop in enumerate(bench["timings"][0]["loops"]):
        loop["p50"] = factor * (1 + 0.01 * at)
    out.write_text(json.dumps(bench))
    return out


def compared(one: Path, other: Path) -> Any:
    """Compare two benches, as JSON."""
    return json.loads(edgefer("bench", "compare", one, other, "--json").stdout)


def test_compare_finds_a_significant_difference(short: Path, tmp_path: Path) -> None:
    one = slower(short / "short.json", tmp_path / "one.json", 1.0)
    other = slower(short / "short.json", tmp_path / "other.json", 1.2)
    rows = compared(one, other)["rows"]
    assert rows[0]["ratio"] == pytest.approx(1.2)
    assert rows[0]["p_value"] == pytest.approx(2 / 252, abs=1e-6)
    assert [row["p_value"] for row in rows[1:]] == [1.0] * (len(rows) - 1)
    told = edgefer("bench", "compare", one, other).stdout
    assert "slower" in told
    assert "one run each" in told
    assert "faster" in edgefer("bench", "compare", other, one).stdout


def runs(path: Path, folder: Path, factors: Sequence[float]) -> Path:
    """Write a bench as several runs of it would be."""
    folder.mkdir()
    for at, factor in enumerate(factors):
        slower(path, folder / f"{at}.json", factor)
    return folder


def test_compare_tests_runs_where_it_has_several(short: Path, tmp_path: Path) -> None:
    """What differs between any two runs, and so by their loops, is no difference of the sides."""
    bench, ups_and_downs = short / "short.json", (1.0, 1.2, 1.05, 1.15)
    before = runs(bench, tmp_path / "before", ups_and_downs)
    after = runs(bench, tmp_path / "after", ups_and_downs[::-1])
    single = compared(before / "0.json", after / "2.json")
    assert (single["units"], single["rows"][0]["p_value"] < 0.05) == ("loops", True)
    several = compared(before, after)
    assert (several["units"], several["rows"][0]["p_value"]) == ("runs", 1.0)
    assert several["rows"][0]["first"] == list(ups_and_downs)
    worse = runs(bench, tmp_path / "worse", [1.3 * factor for factor in ups_and_downs])
    told = edgefer("bench", "compare", before, worse, "--plot", tmp_path / "runs.png").stdout
    assert re.search(r"classifier, a face +1\.10 +1\.43 +1\.300 +0\.029 +slower", told)
    assert "one run each" not in told
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG")


def test_compare_refuses_too_few_runs(short: Path, tmp_path: Path) -> None:
    bench = short / "short.json"
    three, none = runs(bench, tmp_path / "three", (1, 1, 1)), runs(bench, tmp_path / "none", ())
    mixed = runs(bench, tmp_path / "mixed", (1, 1, 1, 1))
    other = found(short)
    (mixed / "3.json").write_text(json.dumps({**other, "threads": 4}))
    for words, complaint in (
        ((three, three), "3 and 3 runs cannot show a significant difference; run each bench"),
        ((three, bench), "3 and 1 runs cannot show a significant difference"),
        ((none, bench), "none: no bench in it; make one: edgefer bench --json"),
        ((mixed, mixed), "3.json: not the setup of 0.json: threads: 1, then 4"),
    ):
        done = edgefer("bench", "compare", *words)
        assert done.exit_code == 1
        assert complaint in done.stderr
        assert done.stderr.count("\n") == 1


def test_compare_lists_other_differences(short: Path, tmp_path: Path) -> None:
    bench = found(short)
    bench["threads"], bench["hardware"]["versions"]["numpy"] = 4, "1.0"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(bench))
    said = edgefer("bench", "compare", short / "short.json", other).stdout
    assert "differs in threads: 1, then 4" in said
    assert "then 1.0" in said


@pytest.mark.parametrize("content", ["{}", "no", '{"schema": 2, "machine": 3}'])
def test_compare_refuses_other_files(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    done = edgefer("bench", "compare", path, path)
    assert done.exit_code == 1
    assert "a.json: not a bench: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_many_loops_are_tested_by_drawing() -> None:
    first, second = [1.0 + 0.01 * at for at in range(20)], [1.3 + 0.01 * at for at in range(20)]
    assert permutation_test(first, second) < 0.001
    assert permutation_test(first, first) == 1.0


def test_a_turn_follows_the_clock_and_leaves_the_warm_up_out() -> None:
    now = [0.0]
    turn = TurnClock("ticks", Plan(1.0), lambda: now[0])
    series = Series("ticks", turn)
    while not turn.done:
        now[0] += 0.04
        series.add(0.04, 0.02)
        turn.ended()
    assert len(series.calls) == 25
    assert turn.seconds == pytest.approx(1.0)
    series.add(0.04, 0.02)
    assert len(series.calls) == 25


def test_the_spread_of_the_loops_is_shown(short: Path) -> None:
    def spread(timing: dict[str, Any]) -> float:
        medians = [loop["p50"] for loop in timing["loops"]]
        return float((max(medians) - min(medians)) / timing["p50"])

    lines = (short / "said.txt").read_text().splitlines()
    for one in found(short)["timings"]:
        (row,) = (line for line in lines if line.startswith(f" {one['what']}"))
        assert row.split()[-1] == f"{spread(one):.0%}"


def test_benchmarks_take_turns() -> None:
    order: list[str] = []
    benchmarks = [calling(what, lambda what=what: order.append(what)) for what in "ab"]  # type: ignore[misc]
    plan = Plan(0.01, short=True, loops=3, turn_seconds=0.005)
    first, second = run_in_turns(benchmarks, plan, "letters")
    assert [what for what, _ in itertools.groupby(order)] == ["a", "b"] * 6
    assert [len(one.loops) for one in (first, second)] == [3, 3]
    assert 0 < first.calls < order.count("a")


def test_a_slow_while_leaves_the_best_second_unchanged() -> None:
    calm = Turn([(0.010 + at * 1e-6, 0.01) for at in range(100)], 1.0)
    busy = Turn([(0.025, 0.01)] * 40, 1.0)
    alone = timing_of("a call", [calm, calm, calm, calm], turns_a_loop=2)
    disturbed = timing_of("a call", [busy, busy, busy, calm], turns_a_loop=2)
    assert alone is not None
    assert disturbed is not None
    assert disturbed.p50 == pytest.approx(25.0)
    assert disturbed.best_second == pytest.approx(alone.best_second, rel=0.01)
    assert [loop.p50 for loop in disturbed.loops] == pytest.approx([25.0, 10.1], rel=0.01)


def test_few_calls_are_no_best_second() -> None:
    turns = [Turn([(wall, wall)], 1.0) for wall in (0.1, 0.2, 0.3, 0.4, 0.5)]
    timing = timing_of("a call", turns, turns_a_loop=1)
    assert timing is not None
    assert timing.best_second == timing.p50 == pytest.approx(300.0)


def test_a_throttled_machine_is_a_warning() -> None:
    steady = [("classifier", [1.0] * 5)]
    assert not_sustained(Telemetry(CALM, (CALM, CALM), CALM), steady) == ()
    hot = Reading(82.4, 1000.0, True)
    (throttled, fell) = not_sustained(Telemetry(CALM, (CALM, hot), CALM), steady)
    assert throttled.startswith("not sustained: the machine was throttled at 82 °C; ")
    assert fell == "not sustained: its clock fell from 1800 to 1000 MHz"
    (tired,) = not_sustained(Telemetry(CALM, (), CALM), [("detector", [1.0, 1.0, 1.1, 1.2, 1.2])])
    assert tired.startswith("not sustained: detector was 20 % slower in the last loops")


def test_the_benchmark_that_spreads_most_is_a_warning() -> None:
    def said(*medians: float) -> tuple[str, ...]:
        return not_sustained(
            Telemetry(CALM, (), CALM), [("detector", [4.0, 4.1, 4.0, 4.3, 4.0]), ("whole", medians)]
        )

    assert said(1.0, 1.0, 1.09, 1.0, 1.0) == ()
    (line,) = said(1.0, 1.0, 1.5, 1.0, 1.0)
    assert line.startswith("not steady: the loops' p50 of whole spread over 50 %, and another run ")


def test_sensors_are_read_from_the_kernel(tmp_path: Path) -> None:
    for core, hertz in enumerate(("600000", "1500000")):
        clock = tmp_path / f"devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq"
        clock.parent.mkdir(parents=True)
        clock.write_text(f"{hertz}\n")
    zone = tmp_path / "class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("61234\n")
    flags = tmp_path / "devices/platform/soc/soc:firmware/get_throttled"
    flags.parent.mkdir(parents=True)
    flags.write_text("50005\n")
    assert read_sensors(tmp_path) == Reading(61.234, 1500.0, True)
    shutil.rmtree(tmp_path / "devices/system")
    assert read_sensors(tmp_path, tmp_path / "none").mhz is None


def test_the_power_of_a_jetson_is_that_of_the_whole_board(tmp_path: Path) -> None:
    monitor = tmp_path / "class/hwmon/hwmon4"
    monitor.mkdir(parents=True)
    said = {"in1": "VDD_IN", "in2": "VDD_CPU_GPU_CV"}
    for name, label in said.items():
        (monitor / f"{name}_label").write_text(f"{label}\n")
        (monitor / f"{name}_input").write_text("5000\n")
    (monitor / "curr1_input").write_text("1240\n")
    (monitor / "curr2_input").write_text("300\n")
    assert PowerMeter(tmp_path).watts() == pytest.approx(6.2)
    assert read_sensors(tmp_path, tmp_path, PowerMeter(tmp_path)).watts == pytest.approx(6.2)


def test_an_energy_counter_gives_power_from_its_second_reading_on(tmp_path: Path) -> None:
    for name, count in (("intel-rapl:0", 1_000_000), ("intel-rapl:0:0", 9), ("intel-rapl:1", 0)):
        path = tmp_path / "class/powercap" / name / "energy_uj"
        path.parent.mkdir(parents=True)
        path.write_text(f"{count}\n")
    now = [0.0]
    meter = PowerMeter(tmp_path, lambda: now[0])
    assert meter.watts() is None
    now[0] = 2.0
    path.write_text("24000000\n")
    assert meter.watts() == pytest.approx(12.0)
    path.write_text("5\n")  # it has run over
    now[0] = 4.0
    assert meter.watts() is None


def test_the_power_of_a_pi_5_is_the_sum_of_its_rails(tmp_path: Path) -> None:
    said = (
        " 3V3_SYS_A current(1)=0.10000000A\n VDD_CORE_A current(7)=2.00000000A\n"
        " 3V3_SYS_V volt(9)=3.30000000V\n VDD_CORE_V volt(15)=0.80000000V\n"
        " EXT5V_V volt(24)=5.10000000V\n"
    )
    assert PowerMeter(tmp_path, pmic=lambda: said).watts() == pytest.approx(0.33 + 1.6)
    assert PowerMeter(tmp_path, pmic=lambda: "").watts() is None


def test_a_board_is_known_by_name(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tmp_path / "proc/cpuinfo").write_text("Features\t: fp asimd asimddp\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal:        4000000 kB\n")
    governor = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    governor.parent.mkdir(parents=True)
    governor.write_text("ondemand\n")
    found = describe_machine(tmp_path)
    assert (found.board, found.governor) == ("Raspberry Pi 5 Model B Rev 1.0", "ondemand")
    assert (found.features, found.memory_mb) == (("asimd", "asimddp"), 4096)


def test_among_equals_the_fewest_threads_are_preferred() -> None:
    one, two = Candidate("int8", 1, 1.03, 1.0), Candidate("int8", 2, 1.0, 1.9)
    four = Candidate("onnx", 4, 0.5, 1.9)
    assert ranked([one, two]) == [one, two]
    assert ranked([one, two, four])[0] == four


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", 'runtime = "int8"\nthreads = 2\n'),
        (
            "# mine\n[mood]\nseconds = 1\n",
            '# mine\nruntime = "int8"\nthreads = 2\n[mood]\nseconds = 1\n',
        ),
        ('threads=1\nruntime = "onnx" # x', 'threads=2\nruntime = "int8" # x'),
    ],
)
def test_a_settings_file_keeps_all_else(before: str, after: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(before)
    path.chmod(0o640)
    write_keys(path, {"runtime": "int8", "threads": 2})
    assert sorted(path.read_text().splitlines()) == sorted(after.splitlines())
    assert path.stat().st_mode & 0o777 == 0o640
    assert load_config(path).threads == 2
    assert write_keys(path, {"runtime": "int8", "threads": 2}) == []


def test_a_file_that_hides_a_key_in_a_text_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    text = 'state = """\nthreads = 3\n"""\n'
    path.write_text(text)
    with pytest.raises(SettingsError, match="cannot be changed safely; write into it: threads = 2"):
        write_keys(path, {"threads": 2})
    assert path.read_text() == text
