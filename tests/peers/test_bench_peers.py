"""The peers' bench, on a peer that needs no environment: a cascade that calls every face happy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from peers import bench
from peers.measure import Plan, Result, measure
from peers.peer import ADAPTERS, PEERS, Peer
from peers.view import draw, table

HAPPY = """
import cv2
class Adapter:
    def __init__(self, label):
        self._label = label
        self._cascade = cv2.CascadeClassifier(
            cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    def look(self, picture, time):
        print("not an answer")
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        return self._label if len(self._cascade.detectMultiScale(grey, 1.3, 5)) else None
    def read(self, face):
        return self._label
"""


@pytest.fixture(scope="module")
def results(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    adapter = tmp_path_factory.mktemp("peers") / "happy.py"
    adapter.write_text(HAPPY)
    ours = Peer("ours", ADAPTERS / "ours.py", environment="")
    happy = Peer("happy", adapter, environment="", options={"label": "happy"})
    return measure([ours, happy], Plan(data, clips=("single_face.mp4",), turns=1, faces=60))


def test_each_is_measured_on_the_same(results: list[Result], data: Path) -> None:
    ours, happy = results
    with np.load(data / "fer2013.npz") as arrays:
        labels = arrays["labels"][Plan(data, faces=60).rows]
    found = happy.accuracy
    assert found.accuracy == pytest.approx((labels == 3).mean())
    assert found.low < found.accuracy < found.high
    assert ours.accuracy.accuracy > found.accuracy
    for one in results:
        clip = one.clips["single_face.mp4"]
        assert clip.found > 0.5
        assert clip.cpu_ms > 0.1
        assert one.start_cpu_s > 0.05
        assert 20 < one.peak_mb < 500


def test_the_table_sets_each_beside_ours(results: list[Result]) -> None:
    lines = list(table(results))
    assert lines[0] == "| | ours | happy |"
    (cpu,) = [line for line in lines if line.startswith("| single_face.mp4: CPU a frame")]
    ours, happy = (one.clips["single_face.mp4"].cpu_ms for one in results)
    assert cpu.endswith(f" {ours:.1f} ms | {happy:.1f} ms, {happy / ours:.1f} x |")
    assert lines[-1] == "| installed | - | - |"
    assert draw(results, "a machine").startswith(b"\x89PNG")


def test_a_peer_that_fails_is_one_line(data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise ImportError('No module named pkg_resources')")
    with pytest.raises(SystemExit, match=r"^bench-peers: broken: .*No module named pkg_resources$"):
        measure([Peer("broken", broken, environment="")], Plan(data))


def test_peers_are_named_by_their_beginning() -> None:
    assert [one.name for one in bench.chosen(["fer"])] == [one.name for one in PEERS[:3]]
    assert bench.chosen([]) == list(PEERS)
    with pytest.raises(SystemExit, match=r"^bench-peers: no peer 'deepface'; there are: fer, "):
        bench.chosen(["deepface"])


def test_without_data_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["bench-peers", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match="name the folder of fer2013"):
        bench.main()
