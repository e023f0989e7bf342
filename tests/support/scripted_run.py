"""The daemon as a program of its own, with a scripted model that reads every face as happy.

    scripted_run.py CAMERA DETECTOR SINK...

An error is one line on stderr and exit status 1, as with `edgefer run`.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

from edgefer.errors import EdgeferError
from edgefer_device.daemon import build as daemon
from edgefer_device.daemon.configuration import Config
from edgefer_device.pipeline.scripted import ScriptedClassifier
from support.bundles import manifest

HAPPY = (0.01, 0.01, 0.01, 0.94, 0.01, 0.01, 0.01)


def main() -> int:
    camera, detector, *sinks = sys.argv[1:]
    vars(daemon)["open_bundle"] = lambda name: SimpleNamespace(manifest=manifest())
    vars(daemon)["open_classifier"] = lambda *_: ScriptedClassifier([HAPPY])
    try:
        daemon.run(Config(camera=camera, detector=detector, sinks=tuple(sinks)))
    except EdgeferError as exc:
        print(f"edgefer: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
