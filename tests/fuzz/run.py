"""Fuzz the parsers: `make fuzz` does so for an hour; `--cases 100000` counts so many of each.

Each parser runs in a process of its own without root's rights, for native code may end it.
Exit status 1 if anything but success and one `EdgeferError` came out.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from edgefer.errors import EdgeferError
from fuzz.cases import Maker
from fuzz.parsers import PARSERS
from fuzz.refusals import BadRefusal, fault

BATCH = 100
"""Cases of one run of Hypothesis; the time is looked at between two."""
EACH = 25
"""Cases of one generator that Hypothesis seeds: it takes longer for it than a parser for a case."""
SUCCESS, REFUSED = "success", "one EdgeferError"


def outcome(name: str, case: object, path: Path) -> str:
    """Return what became of a case: `SUCCESS`, `REFUSED`, or what else, with its place."""
    try:
        PARSERS[name].read(case, path)
    except EdgeferError as exc:
        return fault(exc, PARSERS[name].named) or REFUSED
    except BadRefusal as exc:
        return str(exc)
    except Exception as exc:
        frame = traceback.extract_tb(exc.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        return f"{type(exc).__name__} at {where}: {str(exc)[:100]!r}"
    return SUCCESS


@cache
def maker(name: str) -> Maker:
    """Return what makes the cases of a parser."""
    return PARSERS[name].cases()


def fuzz(name: str, cases: int, number: int, path: Path) -> tuple[Counter[str], dict[str, str]]:
    """Run a batch of cases, seeded by its number; return the outcomes, and a case of each."""
    make, outcomes = maker(name), Counter[str]()
    examples: dict[str, str] = {}

    @seed(number)
    @settings(
        max_examples=math.ceil(cases / EACH),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(st.randoms(use_true_random=True))
    def one(draw: Random) -> None:
        for _ in range(min(EACH, cases - outcomes.total())):
            case = make(draw)
            found = outcome(name, case, path)
            outcomes[found] += 1
            if found not in (SUCCESS, REFUSED):
                examples.setdefault(found, repr(case)[:2000])

    one()
    return outcomes, examples


def without_rights() -> list[str]:
    """Return the words that run a command without root's rights, where this is root.

    It stays the owner of root's files, among them perhaps the Python, and may do nothing else.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


def child(name: str, cases: int, seconds: float, first: int) -> None:
    """Fuzz one parser until either bound; print the outcomes as JSON."""
    logging.disable()
    warnings.simplefilter("ignore")
    began, outcomes, number = time.monotonic(), Counter[str](), first
    examples: dict[str, str] = {}
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        while outcomes.total() < cases and time.monotonic() - began < seconds:
            batch = min(BATCH, cases - outcomes.total())
            found, kept = fuzz(name, batch, number, Path(folder) / "case")
            outcomes += found
            examples = {**kept, **examples}
            number += 1
    print(json.dumps({"outcomes": outcomes, "examples": examples}))


def _memory() -> str | None:
    """Return a folder in memory, where there is one: flash cards wear out."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def run_child(
    name: str, cases: int, seconds: float, first: int
) -> tuple[Counter[str], dict[str, str]]:
    """Fuzz one parser in a child; a child that dies is an outcome."""
    words = [*without_rights(), sys.executable, "-m", "fuzz.run", "--child", name]
    words += ["--cases", str(cases), "--seconds", str(seconds), "--seed", str(first)]
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, env=path, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return Counter({f"the process ended with status {done.returncode}": 1}), {
            "stderr": done.stderr[-2000:]
        }
    return Counter(answer["outcomes"]), answer["examples"]


def main() -> int:
    """Fuzz what is named, or all; print a row for each."""
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("parsers", nargs="*", metavar="PARSER", help=", ".join(PARSERS))
    parse.add_argument("--cases", type=int, default=1_000_000_000, help="of each")
    parse.add_argument("--seconds", type=float, default=3600 / len(PARSERS), help="for each")
    parse.add_argument("--seed", type=int, default=1)
    parse.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parse.parse_args()
    if given.child:
        child(given.parsers[0], given.cases, given.seconds, given.seed)
        return 0
    wrong = 0
    print("| parser | cases | read | one line | else | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in given.parsers or PARSERS:
        began = time.monotonic()
        outcomes, examples = run_child(name, given.cases, given.seconds, given.seed)
        others = outcomes.total() - outcomes[SUCCESS] - outcomes[REFUSED]
        figures = (outcomes.total(), outcomes[SUCCESS], outcomes[REFUSED], others)
        row = " | ".join(f"{figure:,}" for figure in figures)
        print(f"| {name} | {row} | {time.monotonic() - began:.0f} |", flush=True)
        for found, count in outcomes.most_common():
            if found not in (SUCCESS, REFUSED):
                print(
                    f"  {count:,} x {found}\n    {examples.get(found, examples)}", file=sys.stderr
                )
        wrong += others
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
