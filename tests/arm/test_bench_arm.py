"""What a face and a frame cost on Arm does not grow unseen: instructions, not milliseconds.

The arm64 wheels run under qemu-user, as `make bench-arm` runs them.
"""

from __future__ import annotations

import json
import shutil

import pytest

from arm.bench import BASELINE, NAMES, grown, lines, measure
from arm.rig import CORES, told

COUNTS = {
    "cortex-a72": {"face": 15e6, "frame": 50e6, "peer": 6e6, "peer detection": 244e6},
    "cortex-a76": {"face": 5e6, "frame": 40e6, "peer": 5e6, "peer detection": 95e6},
}


def test_nothing_takes_more_instructions_than_its_baseline_allows() -> None:
    if shutil.which("qemu-aarch64") is None:
        pytest.skip("qemu-aarch64 is not installed: apt-get install qemu-user")
    baseline = json.loads(BASELINE.read_text())
    assert {*baseline} == {*CORES}
    counts = measure("small", list(CORES))
    assert grown(counts, baseline) == []
    # What is far below it was made cheaper: `make bench-arm WRITE=1` holds it there.
    fallen = grown(baseline, counts)
    assert fallen == [], "cheaper than the baseline: write it anew"


def test_a_growth_beyond_three_hundredths_is_told() -> None:
    now = {"cortex-a72": {"face": 15.5e6}, "cortex-a76": {"face": 5.1e6}}
    before = {core: {"face": one["face"]} for core, one in COUNTS.items()}
    (said,) = grown(now, before)
    assert said.startswith("cortex-a72, classifier, a face: +3.3%, 15,500,000 instructions")


def test_a_call_lies_between_its_mark_and_the_one_before() -> None:
    counts = "0 100\n1 110\n2 120\n3 135\n4 200\n5 230\n6 300\n7 350\n"
    marks = ["", "face", "face", "face", "", "frame", "", "frame"]
    assert told(marks, counts) == {"face": 10, "frame": 40}


def test_the_table_sets_ours_beside_the_peers() -> None:
    table = list(lines(COUNTS))
    assert table[2] == f"| {NAMES['face']} | 15.00 | 5.00 |"
    assert table[-2].endswith("| 2.50 | 1.00 |")
    assert table[-1].endswith("| 0.20 | 0.40 |")
