"""The program's verbs: `python3 /opt/edgefer/release.pyz VERB`, all but `list` as root."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import durable, lock, releases, undo
from .health import DAEMON
from .layout import Layout, Refused
from .services import Systemd
from .switching import Change, Switch

UNIT, GUARD = "edgefer-switch", "edgefer-release.service"
UNDOING = 60
"""Seconds within which a switch that was killed is undone, with nobody to tell of it."""
SPARE = 300.0
"""Seconds beyond its checks after which a switch that hangs is ended, and so undone."""


def main() -> int:
    """Do what a verb says; a refusal is one line on stderr and status 1."""
    words = _parser().parse_args()
    layout = Layout(words.root)
    try:
        done = globals()[f"do_{words.verb}"](layout, words)
    except Refused as exc:
        print(f"edgefer: {exc}", file=sys.stderr)
        return 1
    if done is not None:
        print(json.dumps(done))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="release.pyz", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"))
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("lock", help="take the deployment's lock").add_argument("who")
    verbs.add_parser("unlock", help="give it back")
    for name, text in (("start", "begin a switch that outlives the connection"), ("switch", "")):
        verb = verbs.add_parser(name, help=text or "make what is staged, or a rollback")
        verb.add_argument("token")
        verb.add_argument("--back", metavar="ID", help="go back to this release; - is the last")
        verb.add_argument("--checks", type=json.loads, default={}, help="JSON of `Checks`")
    verbs.add_parser("wait", help="follow a switch to its end").add_argument("token")
    verbs.add_parser("recover", help="undo a switch that was interrupted")
    verbs.add_parser("list", help="the releases, as JSON")
    verbs.add_parser("prune", help="remove what is not kept")
    return parser


def do_lock(layout: Layout, words: argparse.Namespace) -> None:
    """Take the lock."""
    lock.acquire(layout, words.who)


def do_unlock(layout: Layout, _: argparse.Namespace) -> None:
    """Give it back."""
    lock.release(layout)


def do_start(layout: Layout, words: argparse.Namespace) -> None:
    """Have systemd make the switch: it goes on when the cable is cut, and is undone if it dies."""
    if undo.pending(layout) is not None and _is_switching():
        raise Refused("another switch is under way here; wait for it")
    layout.progress.unlink(missing_ok=True)
    # What was left of one that was killed: systemd keeps it, and would start no other of its name.
    subprocess.run(["systemctl", "reset-failed", UNIT], check=False, capture_output=True)
    program = ["/usr/bin/python3", "-I", sys.argv[0]]
    checks = _change(layout, words).checks
    limit = 2 * checks.deadline + checks.watch + SPARE
    command = ["systemd-run", f"--unit={UNIT}", "--collect", "--quiet"]
    command += [f"--property=RuntimeMaxSec={limit:g}"]
    command += [f"--property=ExecStopPost={' '.join(program)} recover"]
    # Whoever kills all of a unit kills that too.
    command += [f"--property=OnFailure={GUARD}"]
    command += [*program, "switch", words.token]
    command += ["--back", words.back, "--checks", json.dumps(words.checks)] if words.back else []
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()
        raise Refused(f"systemd does not start the switch: {last[-1] if last else ''}")


def do_switch(layout: Layout, words: argparse.Namespace) -> dict[str, Any]:
    """Make what is staged, or go back."""
    switch = Switch(layout, Systemd())
    try:
        return switch.make(_change(layout, words), words.token)
    except Refused as exc:
        outcome = {"token": words.token, "result": "refused", "reason": str(exc)}
        durable.write_json(layout.outcome, outcome)
        raise


def do_wait(layout: Layout, words: argparse.Namespace) -> dict[str, Any]:
    """Print what the switch is doing until it has ended; then its outcome."""
    told = 0
    while True:
        # Looked at before: it may end between the two looks.
        going_on = _is_switching()
        outcome = durable.read_json(layout.outcome)
        lines = layout.progress.read_text().splitlines() if layout.progress.exists() else []
        for line in lines[told:]:
            print(line, flush=True)
        told = len(lines)
        if outcome is not None and outcome.get("token") == words.token:
            return outcome
        if not going_on:
            raise Refused(_lost(layout))
        time.sleep(1)


def _lost(layout: Layout) -> str:
    """Wait for a switch that was killed to be undone, and say so."""
    for _ in range(UNDOING):
        if undo.pending(layout) is None:
            return f"the switch ended without a word, and was undone; see: journalctl -u {UNIT}"
        time.sleep(1)
    return "the switch ended without a word, and is not undone yet: restart the device"


def do_recover(layout: Layout, _: argparse.Namespace) -> None:
    """Undo a switch that was interrupted, if there is one."""
    services = Systemd()
    # At boot the daemon has not been started yet, and need not be.
    running = not services.unit(DAEMON).said.startswith("inactive")
    Switch(layout, services).recover(running)


def do_list(layout: Layout, _: argparse.Namespace) -> dict[str, Any]:
    """Tell of all releases."""
    return releases.listed(layout)


def do_prune(layout: Layout, _: argparse.Namespace) -> dict[str, Any]:
    """Remove what is not kept."""
    return {"removed": releases.prune(layout)}


def _change(layout: Layout, words: argparse.Namespace) -> Change:
    """Return what is staged, or the way back that is asked for."""
    if not words.back:
        return Change.read(layout.staged)
    name = releases.previous(layout) if words.back == "-" else words.back
    checks = releases.checks_of(layout, name, words.checks)
    return releases.rollback_change(layout, name, checks)


def _is_switching() -> bool:
    done = subprocess.run(
        ["systemctl", "is-active", UNIT], check=False, capture_output=True, text=True
    )
    return done.stdout.strip() in ("active", "activating", "deactivating")
