"""The verbs of `edgefer model` that every package can run: bundles, keys and signatures."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from edgefer.console import say
from edgefer.options import FILE, json_option

log = logging.getLogger(__name__)


@click.command()
@click.argument("bundle")
@json_option
def inspect(bundle: str, as_json: bool) -> None:
    """Show a bundle's files, scores, gate and graph."""
    from edgefer.bundle import open_bundle
    from edgefer.inspection import show, show_graph
    from edgefer.manifest import write_manifest
    from edgefer.messages import printable_json

    opened = open_bundle(bundle)
    if as_json:
        say(*printable_json(write_manifest(opened.manifest).decode()).splitlines())
    else:
        show(opened)
        show_graph(opened)


@click.command()
@click.argument("out", type=FILE)
def keys(out: Path) -> None:
    """Generate a key pair for signing: OUT and OUT.pub."""
    from edgefer.signature import make_keys, public_of

    made = make_keys(out)
    log.info("%s: private key %s, keep it secret; %s: public key", out, made, public_of(out))


@click.command()
@click.argument("bundle")
@click.option("--key", type=FILE, required=True, help="Private key, from: edgefer model keys.")
def sign(bundle: str, key: Path) -> None:
    """Sign a bundle, replacing an older signature."""
    from edgefer.bundle import sign_bundle

    log.info("%s: signed by the key %s", bundle, sign_bundle(bundle, key))


@click.command()
@click.argument("bundle")
@click.option("--key", type=FILE, required=True, help="Public key, FILE.pub.")
def verify(bundle: str, key: Path) -> None:
    """Verify a bundle's signature; exit status 1 if it fails."""
    from edgefer.bundle import open_bundle

    opened = open_bundle(bundle, signed_by=key)
    files = len(opened.manifest.files)
    log.info("%s: manifest and %s files are as signed by %s", bundle, files, key)
