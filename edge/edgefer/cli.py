"""The `edgefer` command: its verbs by section and group, found and loaded when they are called.

Verbs live with their stage, so that a device never loads what only training needs.
"""

from __future__ import annotations

import errno
import importlib
import io
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import click

from edgefer import __version__
from edgefer.console import logging_to_stderr, native_stderr_dropped, say
from edgefer.errors import EdgeferError, MissingExtra

log = logging.getLogger(__name__)

EXTRAS = {
    "train": (
        "tensorflow",
        "tf_keras",
        "tensorflow_model_optimization",
        "tf2onnx",
        "onnx",
        "matplotlib",
    ),
    "device": ("aiohttp", "aiomqtt", "ai_edge_litert", "cryptography"),
    "sweep": ("ray",),
    "deploy": ("gevent", "packaging", "paramiko", "pyinfra", "tomlkit"),
}
"""The packages that each extra brings."""


TENSORFLOW = ("edgefer_train", "edgefer_convert")
"""Packages whose verbs load TensorFlow."""


class LazyGroup(click.Group):
    """A group whose verbs are loaded from their modules, where each has its own name."""

    def __init__(self, verbs: Mapping[str, str | click.Command], **settings: Any) -> None:
        super().__init__(**settings)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs, in the order of the table."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a verb, or return None for an unknown name."""
        found = self.verbs.get(cmd_name)
        if isinstance(found, str):
            loaded: click.Command = getattr(importlib.import_module(found), cmd_name)
            return loaded
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Load the verb that is called; what TensorFlow prints of itself is dropped from here on.

        With --verbose it is not.
        """
        found, program = self.verbs.get(args[0]), ctx.find_root()
        if isinstance(found, str) and found.startswith(TENSORFLOW):
            verbose = program.params["verbose"]
            program.with_resource(nullcontext() if verbose else native_stderr_dropped())
        return super().resolve_command(ctx, args)


def _in(module: str, *verbs: str) -> dict[str, str | click.Command]:
    """Return the module of each of its verbs."""
    return dict.fromkeys(verbs, module)


MODEL = LazyGroup(
    {
        **_in("edgefer.commands", "inspect", "sign", "verify", "keys"),
        **_in("edgefer_train.commands", "compare", "architectures"),
        **_in("edgefer_convert.commands", "parity", "sensitivity", "edgetpu", "compile"),
        **_in("edgefer_device.commands.bench", "formats"),
    },
    name="model",
    help="Inspect, compare, sign and verify models.",
)
DEV = LazyGroup(
    {
        **_in(
            "edgefer_device.commands.dev", "faces", "light", "mood", "calibration", "sweep", "peak"
        ),
        **_in("edgefer_train.commands", "throughput"),
    },
    name="dev",
    help="Run measurements for developing edgefer itself.",
)
SECTIONS: dict[str, dict[str, str | click.Command]] = {
    "Device": {
        **_in("edgefer_device.commands.device", "run", "predict", "cameras", "doctor", "history"),
        **_in("edgefer_device.commands.config", "config"),
        **_in("edgefer_device.commands.content", "content"),
        **_in(
            "edgefer_device.commands.control",
            "enroll",
            "status",
            "pause",
            "resume",
            "reload",
            "restart",
        ),
    },
    "Training": {
        **_in("edgefer_train.commands", "data"),
        **_in("edgefer_train.recipe_commands", "recipe"),
        **_in("edgefer_train.commands", "train", "sweep", "quantize"),
        **_in("edgefer_convert.commands", "convert"),
        **_in("edgefer_train.commands", "evaluate"),
    },
    "Models": {
        "model": MODEL,
        **_in("edgefer_device.commands.bench", "bench"),
        **_in("edgefer_device.commands.export", "export"),
    },
    "Fleet": _in("edgefer_device.commands.deploy", "deploy", "rollback", "fleet"),
    "Development": {"dev": DEV},
}
"""The sections of `edgefer --help`, and the module or the group of each verb."""


BUG = 70
"""Exit status of an error that nobody raised on purpose; `EX_SOFTWARE` of sysexits.h."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What is no bug of ours wherever it comes from: a disk that takes no more."""


class Program(LazyGroup):
    """The program: verbs in sections; an error is one line, never a traceback.

    The exit status is 1 for an `EdgeferError` and `BUG` for any other.
    """

    def __init__(self, **settings: Any) -> None:
        verbs = {verb: where for section in SECTIONS.values() for verb, where in section.items()}
        super().__init__(verbs, **settings)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section's verbs with their help lines."""
        width = max(map(len, self.verbs))
        for section, verbs in SECTIONS.items():
            found = [(verb, self.get_command(ctx, verb)) for verb in verbs]
            with formatter.section(section):
                formatter.write_dl([
                    (verb.ljust(width), command.get_short_help_str(formatter.width))
                    for verb, command in found
                    if command is not None
                ])  # fmt: skip

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; `--debug` lets the traceback through."""
        debug, as_json = ctx.params["debug"], ctx.params["log_format"] == "json"
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A character that the terminal's encoding lacks is escaped, as on stderr.
            sys.stdout.reconfigure(errors="backslashreplace")
        with logging_to_stderr(ctx.params["verbose"], as_json):
            try:
                return super().invoke(ctx)
            except (EdgeferError, ModuleNotFoundError) as exc:
                error = exc if isinstance(exc, EdgeferError) else _missing_extra(exc)
                if debug or error is None:
                    raise
                log.error("%s", error)
                raise click.exceptions.Exit(1) from exc
            except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
                raise
            except Exception as exc:
                if debug:
                    raise
                if isinstance(exc, OSError) and exc.errno in FULL:
                    log.error("%s: %s", exc.filename or "standard output", exc.strerror)
                    raise click.exceptions.Exit(1) from exc
                log.error("%s", _report_of_bug(exc))
                raise click.exceptions.Exit(BUG) from exc


def _report_of_bug(exc: Exception) -> str:
    """Write the traceback to a new file, and return one line that names it."""
    text = "".join(traceback.format_exception(exc))
    what = f"{type(exc).__name__}: {' '.join(str(exc).split())[:200]}"
    try:
        handle, name = tempfile.mkstemp(".txt", "edgefer-traceback-")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        name = "what `edgefer --debug` prints"
    return f"{what}; this is a bug, please report it with {name}"


def _missing_extra(exc: ModuleNotFoundError) -> MissingExtra | None:
    """Return the error that names the extra which brings a package, or None if none does."""
    package = (exc.name or "").partition(".")[0]
    extra = next((extra for extra, packages in EXTRAS.items() if package in packages), None)
    return None if extra is None else MissingExtra(str(exc.name), extra)


def _show_licences(ctx: click.Context) -> None:
    from edgefer.licences import packages

    for one in packages():
        say(f"{one.name:<32} {one.version:<16} {one.licence}")
    ctx.exit()


@click.group(cls=Program)
@click.version_option(__version__)
@click.option(
    "--licenses",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, _, given: _show_licences(ctx) if given else None,
    help="List the licences of edgefer and its packages.",
)
@click.option("--verbose", "-v", is_flag=True, help="Log details too.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of log lines on stderr.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(verbose: bool, log_format: str, debug: bool) -> None:
    """Facial-expression models from a dataset to a device.

    Expressions are what faces show, not what people feel.
    """


if __name__ == "__main__":
    sys.exit(main())
