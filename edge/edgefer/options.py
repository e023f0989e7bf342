"""Options that verbs of several stages share."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)
DETECTORS = click.Choice(["haar", "blazeface", "blazeface-short"])

data_option = click.option(
    "--data",
    type=FOLDER,
    envvar="EDGEFER_DATA",
    help="Faces: the folder with fer2013.npz or fer2013.csv, train/ and test/, or one a class.",
)
run_option = click.option(
    "--run", "run_folder", type=FOLDER, required=True, help="Folder of the training."
)
detector_option = click.option("--detector", type=DETECTORS, help="Face detector.")
model_option = click.option("--model", help="Model bundle: a path, or a shipped one's name.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
