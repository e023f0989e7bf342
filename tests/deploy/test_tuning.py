"""What a deployment measures on a device, with this machine for the device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgefer.signature import make_keys
from edgefer_device.deploy.connection import Report
from edgefer_device.deploy.plan import measured, tuned_file
from edgefer_device.deploy.release_builder import tune
from edgefer_device.deploy.staging import Placed
from edgefer_device.deploy.targets import TARGETS, model_for

SYSTEMD_RUN = """#!/bin/sh
while case "$1" in -*) true ;; *) false ;; esac; do echo "$1" >>"${0%/*}/options"; shift; done
exec "$@"
"""
"""Runs a program as who it is, and writes down as whom it was to."""
OWN_PYTHON = f'#!/bin/sh\nshift  # -I: edgefer is on the path here\nexec {sys.executable} "$@"\n'


class Here:
    """A `Remote` that is this machine, below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def there(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def run(self, script: str, doing: str, report: Report | None = None) -> str:
        led = script.replace("/opt/", f"{self.root}/opt/").replace("/var/", f"{self.root}/var/")
        path = f"{self.root}:{os.environ['PATH']}"
        environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), "PATH": path}
        done = subprocess.run(
            ["sh", "-c", led], check=False, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, f"{doing}: {done.stderr}"
        for line in done.stdout.splitlines() if report else ():
            assert report is not None
            report(line)
        return done.stdout

    def send(self, content: bytes, place: str, mode: int) -> bool:
        self.there(place).write_bytes(content)
        self.there(place).chmod(mode)
        return True


@pytest.fixture
def device(tmp_path: Path) -> Here:
    """A Jetson's release, made."""
    device = Here(tmp_path)
    release = device.there("/opt/edgefer/releases/one")
    (release / "bin").mkdir(parents=True)
    (release / "bin" / "python").write_text(OWN_PYTHON)
    (release / "bin" / "python").chmod(0o755)
    (tmp_path / "systemd-run").write_text(SYSTEMD_RUN)
    (tmp_path / "systemd-run").chmod(0o755)
    (release / "model.zip").write_bytes(model_for(TARGETS["jetson"], "small").content)
    return device


def test_a_jetson_without_a_gpu_reports_so_and_takes_the_fastest_of_the_rest(device: Here) -> None:
    said: list[str] = []
    tune(device, "one", None, said.append)
    first, *lines = said
    assert first == "measuring which runtime is fastest there"
    lacks = "left out, as this onnxruntime lacks them: tensorrt, cuda, "
    assert any(line.startswith(lacks) for line in lines)
    for setting in ("int8, threads 1: ", "onnx-int8, threads 1: ", "onnx, threads 1: "):
        assert any(line.startswith(setting) for line in lines)
    assert not any(line.startswith("{") for line in lines)
    kept = Placed(device.there(tuned_file("one")).read_bytes(), 0o644)
    best = measured({tuned_file("one"): kept}, "one")
    assert set(best) == {"runtime", "threads"}
    assert lines[-1] == f"fastest: runtime = {best['runtime']}, threads = {best['threads']}"
    quickest = next(line for line in lines if "ms a face" in line)
    assert quickest.startswith(f"{best['runtime']}, threads {best['threads']}: ")
    options = device.there("options").read_text().splitlines()
    assert {"--property=User=edgefer", "--property=CapabilityBoundingSet="} <= set(options)


def test_a_model_that_the_configured_key_has_not_signed_is_not_run_to_measure_it(
    device: Here, tmp_path: Path
) -> None:
    make_keys(tmp_path / "release")
    with pytest.raises(AssertionError, match=r"model\.zip: is not signed; expected a signature by"):
        tune(device, "one", str(tmp_path / "release.pub"), lambda _: None)
    assert not device.there(tuned_file("one")).exists()
