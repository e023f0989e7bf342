"""The `edgefer` command: each verb parses, builds objects, calls and prints.

Verbs live with their stage and are looked up when they are called, so that a device
never loads what only training needs.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from edgefer import __version__
from edgefer.errors import EdgeferError, MissingExtra
from edgefer.notices import shown_plainly

VERBS = {
    "edgefer.commands": ("inspect", "keys", "sign", "verify"),
    "edgefer_train.commands": (
        "architectures",
        "compare",
        "data",
        "evaluate",
        "quantize",
        "train",
    ),
    "edgefer_convert.commands": ("convert", "edgetpu", "explain", "formats", "parity"),
    "edgefer_device.commands.control": ("pause", "reload", "restart", "resume", "status"),
    "edgefer_device.commands.bench": ("bench",),
    "edgefer_device.commands.deploy": ("deploy", "fleet", "releases", "rollback"),
    "edgefer_device.commands.export": ("export",),
    "edgefer_device.commands.device": (
        "cameras",
        "doctor",
        "faces",
        "history",
        "predict",
        "run",
    ),
}
"""The verbs by the module that holds them."""

EXTRAS = {
    "train": {
        "tensorflow",
        "tf_keras",
        "tensorflow_model_optimization",
        "tf2onnx",
        "onnx",
        "matplotlib",
    },
    "device": {"aiohttp", "aiomqtt", "ai_edge_litert", "cryptography"},
    "deploy": {"gevent", "packaging", "paramiko", "pyinfra", "tomlkit"},
}
"""The packages that each extra brings."""


class Verbs(click.Group):
    """Finds a verb in its stage; turns every `EdgeferError` into one line and exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all verbs, in the order of the alphabet."""
        return sorted(verb for verbs in VERBS.values() for verb in verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the module of a verb."""
        module = next((name for name, verbs in VERBS.items() if cmd_name in verbs), None)
        if module is None:
            return None
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; `--debug` lets the traceback through."""
        try:
            with shown_plainly():
                return super().invoke(ctx)
        except EdgeferError as exc:
            if ctx.params.get("debug"):
                raise
            click.echo(f"edgefer: {exc}", err=True)
            ctx.exit(1)
        except ModuleNotFoundError as exc:
            extra = _extra_of(exc.name or "")
            if extra is None or ctx.params.get("debug"):
                raise
            click.echo(f"edgefer: {MissingExtra(str(exc.name), extra)}", err=True)
            ctx.exit(1)


def _extra_of(module: str) -> str | None:
    """Return the extra that brings a third-party module, or None if none does."""
    package = module.partition(".")[0]
    return next((extra for extra, packages in EXTRAS.items() if package in packages), None)


@click.group(cls=Verbs)
@click.version_option(__version__)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Facial-expression models from a dataset to a device.

    Expressions are what faces show, not what people feel.
    """


if __name__ == "__main__":
    sys.exit(main())
