"""A sweep through the command line: what its file may say, and a real one on this machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer.errors import RunError
from edgefer_train.data.sources import load
from edgefer_train.run import Run
from edgefer_train.sweep import Range, read_space, show
from edgefer_train.sweep import Result as TrialResult
from support.slices import write_slice

SPACE = """
recipe = "tiny"

[set]
"fit.epochs" = 1
"fit.batch_size" = 32
"fit.xla" = false

[vary]
"fit.learning_rate" = [0.001, 0.05]
"""


def edgefer(*words: object, status: int = 0) -> Result:
    done = CliRunner(env={"COLUMNS": "120"}).invoke(main, [str(word) for word in words])
    assert done.exit_code == status, done.output
    return done


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "space.toml").write_text(SPACE)
    return tmp_path / "space.toml"


def test_every_combination_is_a_trial_and_ranges_are_drawn_alike_each_time(space: Path) -> None:
    space.write_text(
        SPACE.replace("[set]", "draws = 3\n[set]")
        + '"augment.flip" = [true, false]\n"augment.rotation" = { low = 5, high = 20 }\n'
        + '"fit.weight_decay" = { low = 1e-5, high = 1e-2, log = true }\n'
    )
    trials = read_space(space)
    assert len(trials) == len({trial.name for trial in trials}) == 2 * 2 * 3
    assert read_space(space) == trials
    for trial in trials:
        recipe = trial.chosen.apply()
        assert (recipe.architecture, recipe.fit.epochs, recipe.fit.xla) == ("tiny", 1, False)
        assert recipe.fit.learning_rate == trial.values["fit.learning_rate"]
        assert 5 <= recipe.augment.rotation <= 20
        assert 1e-5 <= recipe.fit.weight_decay <= 1e-2
    assert {trial.values["augment.flip"] for trial in trials} == {True, False}


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("[0.001, 0.05]", "[0.001, -1]", "--set fit.learning_rate=-1: fit.learning_rate must be"),
        ("[0.001, 0.05]", "[]", "`vary` must name one key or more, each with a value"),
        ("[0.001, 0.05]", "[0.1, 0.1]", "two trials have the same values"),
        ("[0.001, 0.05]", "{ low = 2, high = 1 }", "low must be below high"),
        ("[0.001, 0.05]", "{ low = 0.1, high = inf }", "low must be below high, both of them num"),
        ("[0.001, 0.05]", "{ low = nan, high = 1 }", "low must be below high, both of them num"),
        ('"tiny"', '"tyni"', "unknown recipe 'tyni'; known: custom_cnn"),
        ("fit.learning_rate", "fit.learning_rat", "did you mean"),
        ("recipe", "recipes", "unknown key 'recipes'; did you mean 'recipe'?"),
    ],
)
def test_a_space_that_cannot_be_trained_is_one_line(
    space: Path, tmp_path: Path, old: str, new: str, line: str
) -> None:
    space.write_text(SPACE.replace(old, new))
    done = edgefer("sweep", space, "--data", tmp_path, "--out", tmp_path / "out", status=1)
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_xla_is_tried_once_for_all_trials_of_a_net(
    data: Path, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgefer_train.fitting import compiling, xla_trial
    from edgefer_train.ray_trials import decide_xla

    tried = []

    def trial(*net: object) -> bool:
        tried.append(net)
        return True

    monkeypatch.setattr(compiling, "LONG", 10)
    monkeypatch.setattr(xla_trial, "is_faster_by_xla", trial)
    automatic = SPACE.replace('"fit.xla" = false', '"fit.precision" = "float32"')
    space.write_text(automatic.replace("tiny", "small"))
    trials, faces = read_space(space), write_slice(data, tmp_path / "fer2013.npz", 320, 64, 64)
    found = decide_xla(trials, load(faces), tmp_path / "out")
    assert found == dict.fromkeys((one.name for one in trials), True)
    assert tried == [("small", 48, 32)]


def test_a_folder_in_use_is_refused(space: Path, tmp_path: Path) -> None:
    words = ("sweep", space, "--data", tmp_path, "--out", tmp_path)
    for resume in ((), ("--resume",)):
        done = edgefer(*words, *resume, status=1)
        assert "is not empty, and holds no sweep; choose another --out" in done.stderr
    (tmp_path / "ray").mkdir()
    done = edgefer(*words, status=1)
    assert "already holds a sweep; add --resume to continue it" in done.stderr


def test_draws_differ_and_are_whole_between_whole_bounds(space: Path) -> None:
    space.write_text(
        SPACE.replace("[set]", "draws = 60\n[set]").replace(
            '"fit.learning_rate" = [0.001, 0.05]',
            '"fit.learning_rate" = { low = 0.1, high = 0.2 }',
        )
    )
    trials = read_space(space)
    assert len({trial.name for trial in trials}) == len(trials) == 60
    space.write_text(
        SPACE.replace("[set]", "draws = 3\n[set]") + '"seed" = { low = 1, high = 64 }\n'
    )
    assert all(isinstance(one.values["seed"], int) for one in read_space(space))


def test_a_draw_lies_between_its_bounds_however_close_they_are() -> None:
    random = np.random.default_rng(0)
    whole, part = Range(1001, 1004), Range(0.12345, 0.12385)
    assert {whole.draw(random) for _ in range(60)} == {1001, 1002, 1003, 1004}
    assert all(0.12345 <= part.draw(random) <= 0.12385 for _ in range(60))


def test_a_trial_that_fails_is_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = TrialResult("runs/a", {"fit.learning_rate": 0.1}, 0.5, 1.0)
    show([one], tmp_path, 3)
    assert "50.00%" in capsys.readouterr().out
    assert "2 of 3 trials did not end well; repeat: --resume" in caplog.text
    with pytest.raises(RunError, match="no trial ended well"):
        show([], tmp_path, 3)


def test_a_key_that_stands_twice_is_refused(space: Path, tmp_path: Path) -> None:
    space.write_text(SPACE.replace("[set]", '[set]\n"fit.learning_rate" = 0.1'))
    done = edgefer("sweep", space, "--data", tmp_path, "--out", tmp_path / "out", status=1)
    assert "fit.learning_rate stands in [set] and in [vary]; leave it in one" in done.stderr


def test_data_that_cannot_be_read_is_refused_before_ray_starts(space: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = edgefer("sweep", space, "--data", tmp_path / "nothing", "--out", out, status=1)
    error = done.stderr.splitlines()[-1]
    assert f"{tmp_path}/nothing" in error
    assert "Traceback" not in done.stderr
    assert not out.exists()


@pytest.mark.slow
def test_a_sweep_trains_prints_the_best_and_is_resumed(
    data: Path, space: Path, tmp_path: Path
) -> None:
    faces = write_slice(data, tmp_path / "fer2013.npz", 320, 64, 64)
    words = ("sweep", space, "--data", faces, "--out", tmp_path / "out")
    done = edgefer(*words)
    names = {"learning_rate=0.001", "learning_rate=0.05"}
    runs = {name: Run(tmp_path / "out" / name) for name in names}
    accuracy = {}
    for name, run in runs.items():
        outcome = run.float.outcome()
        assert outcome is not None
        accuracy[name] = outcome.accuracy["fer2013"]
        assert f"{name}: {100 * accuracy[name]:.2f} % on PublicTest" in done.stderr
    best = max(accuracy.values())
    rows = [line for line in done.stdout.splitlines() if "%" in line]
    assert f"{best:.2%}" in rows[0]
    chosen = next(name for name in names if f"best: {runs[name].folder}" in done.stderr)
    assert accuracy[chosen] == best

    runs["learning_rate=0.05"].float.outcome_file.unlink()
    written = runs["learning_rate=0.001"].float.model.stat().st_mtime_ns
    edgefer(*words, "--resume")
    assert runs["learning_rate=0.05"].float.outcome() is not None
    assert runs["learning_rate=0.001"].float.model.stat().st_mtime_ns == written


@pytest.mark.parametrize("address", ["localhost:1", "ray://localhost:1", "here", "here:x"])
def test_an_address_without_a_cluster_is_one_line(
    space: Path, tmp_path: Path, address: str
) -> None:
    words = ("sweep", space, "--data", tmp_path, "--out", tmp_path / "out")
    done = edgefer(*words, "--address", address, status=1)
    assert f"edgefer: --address {address}: nothing listens there; expected HOST:PORT" in done.stderr
