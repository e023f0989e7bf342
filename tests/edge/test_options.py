"""Options that reach a verb as one struct."""

from __future__ import annotations

from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from edgefer.options import FILE, FOLDER, Number, grouped

PLACE = grouped(
    "place",
    "types:SimpleNamespace",
    click.option("--host", required=True),
    click.option("--port", type=int, default=80),
)


@click.command()
@click.option("--before", default="a")
@PLACE
@click.option("--after", type=FILE)
@click.option("--out", type=FOLDER)
def verb(before: str, place: SimpleNamespace, after: str | None, out: str | None) -> None:
    """Print what it gets."""
    click.echo(f"{before} {place.host}:{place.port} {after} {out}")


def test_grouped_options_are_one_argument_and_the_others_their_own() -> None:
    words = ["--port", "8080", "--before", "b", "--host", "here", "--after", "c"]
    assert CliRunner().invoke(verb, words).output == "b here:8080 c None\n"
    assert CliRunner().invoke(verb, ["--host", "here"]).output == "a here:80 None None\n"
    assert CliRunner().invoke(verb, []).exit_code == 2


def test_help_keeps_the_order_and_says_what_kind_of_path_is_meant() -> None:
    lines = CliRunner().invoke(verb, ["--help"]).output.splitlines()
    shown = [line.split()[:2] for line in lines if line.startswith("  --")]
    assert [name for name, _ in shown] == [
        "--before", "--host", "--port", "--after", "--out", "--help",
    ]  # fmt: skip
    assert shown[3:5] == [["--after", "FILE"], ["--out", "FOLDER"]]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "0"])
def test_a_number_is_finite_and_in_its_range(text: str) -> None:
    @click.command()
    @click.option("--seconds", type=Number(min=0.1))
    def wait(seconds: float) -> None:
        click.echo(f"{seconds:g}")

    assert CliRunner().invoke(wait, ["--seconds", "2.5"]).output == "2.5\n"
    assert CliRunner().invoke(wait, ["--seconds", text]).exit_code == 2
