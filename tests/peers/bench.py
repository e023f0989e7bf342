"""`make bench-peers`: the command."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from edgefer.machine import machine
from edgefer.messages import to_json
from peers.measure import FACES, TURNS, Plan, measure
from peers.peer import PEERS, Peer
from peers.view import draw, table


def main() -> None:
    """Measure, print the table, and write what was asked for."""
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("names", nargs="*", help="how the peers' names begin; all by default")
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGEFER_DATA"))
    parser.add_argument("--faces", type=int, default=FACES, help="pictures of PrivateTest")
    parser.add_argument("--turns", type=int, default=TURNS, help="of 24 frames, on each clip")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="draw them as a PNG file")
    given = parser.parse_args()
    if not given.data or not (Path(given.data) / "fer2013.npz").is_file():
        sys.exit("bench-peers: name the folder of fer2013.npz and clips/ with DATA=DIR")
    peers = chosen(given.names)
    results = measure(peers, Plan(given.data, turns=given.turns, faces=given.faces))
    print(f"{machine()}; the same clips and pictures in turns, in one run\n")
    print("\n".join(table(results)))
    if given.json:
        given.json.write_text("[" + ",\n".join(map(to_json, results)) + "]\n")
    if given.plot:
        given.plot.write_bytes(draw(results, machine()))


def chosen(names: list[str]) -> list[Peer]:
    """Return ours and the peers that are named; end with those there are for any other."""
    ours, *others = PEERS
    for name in names:
        if not any(one.name.startswith(name) for one in PEERS):
            known = ", ".join(one.name for one in others)
            sys.exit(f"bench-peers: no peer '{name}'; there are: {known}")
    wanted = [one for one in others if not names or one.name.startswith(tuple(names))]
    return [ours, *wanted]


if __name__ == "__main__":
    main()
