"""The agent's commands: `python3 /opt/edgefer/release.pyz COMMAND`, all but `list` as root."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from . import files, lock, releases
from .health import DAEMON
from .layout import Layout, Refused
from .messages import Change, Outcome, to_json
from .services import Systemd
from .switching import Switch

UNIT, GUARD = "edgefer-switch", "edgefer-release.service"
RECOVERY_SECONDS = 60
"""Within which a switch that was killed is rolled back by systemd."""
SPARE_SECONDS = 300.0
"""Beyond its checks, after which a switch that hangs is ended, and so rolled back."""


def main() -> int:
    """Run a command; a refusal is one line on stderr and status 1, a result JSON on stdout."""
    arguments = _parser().parse_args()
    try:
        result: str | None = arguments.run(Layout(arguments.root), arguments)
    except Refused as exc:
        print(f"edgefer: {exc}", file=sys.stderr)
        return 1
    if result is not None:
        print(result)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="release.pyz", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"))
    commands = parser.add_subparsers(required=True)
    for name, run, summary in (
        ("lock", lambda layout, given: lock.acquire(layout, given.who), "take the deploy lock"),
        ("unlock", lambda layout, _: lock.release(layout), "release it"),
        ("start", start, "begin a switch that outlives the connection"),
        ("switch", switch, "make the staged switch, or a rollback"),
        ("wait", wait, "follow a switch to its end"),
        ("recover", recover, "undo a switch that was interrupted"),
        ("list", lambda layout, _: to_json(releases.listed(layout)), "print releases as JSON"),
        ("prune", lambda layout, _: json.dumps(releases.prune(layout)), "remove old releases"),
    ):
        command = commands.add_parser(name, help=summary)
        command.set_defaults(run=run)
        if name == "lock":
            command.add_argument("who")
        if name in ("start", "switch", "wait"):
            command.add_argument("token")
        if name in ("start", "switch"):
            command.add_argument("--back", metavar="ID", help="roll back to it; - is the previous")
            command.add_argument("--watch", type=float, metavar="SECONDS")
    return parser


def start(layout: Layout, arguments: argparse.Namespace) -> None:
    """Have systemd make the switch: it outlives the connection, and is undone if it dies."""
    if releases.pending(layout) is not None and _is_switching():
        raise Refused("another switch is under way here; wait for it")
    layout.progress.unlink(missing_ok=True)
    # systemd keeps one that was killed, and would start no other of its name.
    subprocess.run(["systemctl", "reset-failed", UNIT], check=False, capture_output=True)
    program = ["/usr/bin/python3", "-I", sys.argv[0]]
    checks = _change(layout, arguments)[0].checks
    limit = 2 * checks.deadline + checks.watch + SPARE_SECONDS
    command = ["systemd-run", f"--unit={UNIT}", "--collect", "--quiet"]
    command += [f"--property=RuntimeMaxSec={limit:g}"]
    command += [f"--property=ExecStopPost={' '.join(program)} recover"]
    # Whoever kills all of a unit kills that too.
    command += [f"--property=OnFailure={GUARD}"]
    command += [*program, "switch", arguments.token]
    command += ["--back", arguments.back] if arguments.back else []
    command += ["--watch", str(arguments.watch)] if arguments.watch is not None else []
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()
        raise Refused(f"systemd does not start the switch: {last[-1] if last else ''}")


def switch(layout: Layout, arguments: argparse.Namespace) -> str:
    """Make the staged switch, or a rollback."""
    try:
        change, folder = _change(layout, arguments)
        return to_json(Switch(layout, Systemd()).apply(change, folder, arguments.token))
    except Refused as exc:
        refused = Outcome("refused", str(exc), token=arguments.token)
        files.write_message(layout.outcome, refused)
        raise


def wait(layout: Layout, arguments: argparse.Namespace) -> str:
    """Print the progress of a switch until it has ended; return its outcome."""
    shown = 0
    while True:
        # Before the outcome is read: it may end in between.
        under_way = _is_switching()
        outcome = files.read_message(layout.outcome, Outcome)
        lines = layout.progress.read_text().splitlines() if layout.progress.exists() else []
        for line in lines[shown:]:
            print(line, flush=True)
        shown = len(lines)
        if outcome is not None and outcome.token == arguments.token:
            return to_json(outcome)
        if not under_way:
            raise Refused(_lost(layout))
        time.sleep(1)


def _lost(layout: Layout) -> str:
    """Wait until a switch that was killed is rolled back; return so in words."""
    for _ in range(RECOVERY_SECONDS):
        if releases.pending(layout) is None:
            return f"the switch was killed, and was undone; see: journalctl -u {UNIT}"
        time.sleep(1)
    return "the switch was killed, and is not undone yet: restart the device"


def recover(layout: Layout, _: argparse.Namespace) -> None:
    """Undo a switch that was interrupted, if there is one."""
    services = Systemd()
    # At boot the daemon has not been started yet, and need not be.
    running = not services.unit(DAEMON).state.startswith("inactive")
    Switch(layout, services).recover(running)


def _change(layout: Layout, arguments: argparse.Namespace) -> tuple[Change, Path]:
    """Return the staged change, or the rollback that is asked for, and the folder of its files."""
    if not arguments.back:
        change = files.read_message(layout.staged / "change.json", Change)
        if change is None:
            raise Refused(f"{layout.staged} holds no change.json: nothing is staged; deploy again")
        return change, layout.staged
    name = releases.previous(layout) if arguments.back == "-" else arguments.back
    return releases.rollback_change(layout, name, arguments.watch), layout.snapshot(name)


def _is_switching() -> bool:
    done = subprocess.run(
        ["systemctl", "is-active", UNIT], check=False, capture_output=True, text=True
    )
    return done.stdout.strip() in ("active", "activating", "deactivating")
