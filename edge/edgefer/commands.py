"""The verbs for what every stage shares: the model bundle and its signature."""

from __future__ import annotations

from pathlib import Path

import click

from edgefer.options import FOLDER, json_option


@click.command()
@click.argument("bundle")
@json_option
def inspect(bundle: str, as_json: bool) -> None:
    """Show what a model bundle holds and how it was measured."""
    from edgefer.bundle import open_bundle
    from edgefer.graph_view import show_graph
    from edgefer.inspection import show
    from edgefer.manifest import write_manifest

    opened = open_bundle(bundle)
    if as_json:
        click.echo(write_manifest(opened.manifest), nl=False)
    else:
        show(opened)
        show_graph(opened)


@click.command()
@click.argument("out", type=FOLDER)
def keys(out: Path) -> None:
    """Make a pair of keys for signing: OUT, which stays secret, and OUT.pub."""
    from edgefer.keys import make_keys, public_of

    made = make_keys(out)
    click.echo(f"{out}: the secret key {made}; {public_of(out)}: for those who verify", err=True)


@click.command()
@click.argument("bundle")
@click.option("--key", type=FOLDER, required=True, help="The secret key, of: edgefer keys.")
def sign(bundle: str, key: Path) -> None:
    """Sign a model bundle; an older signature is replaced."""
    from edgefer.bundle import sign_bundle

    click.echo(f"{bundle}: signed by the key {sign_bundle(bundle, key)}", err=True)


@click.command()
@click.argument("bundle")
@click.option("--key", type=FOLDER, required=True, help="The public key, FILE.pub.")
def verify(bundle: str, key: Path) -> None:
    """Check that a model bundle is what the owner of a key signed; exit status 1 if not."""
    from edgefer.bundle import open_bundle

    opened = open_bundle(bundle, signed_by=key)
    files = len(opened.manifest.files)
    click.echo(f"{bundle}: manifest and {files} files are as signed by {key}", err=True)
