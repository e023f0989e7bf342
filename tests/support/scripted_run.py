"""The daemon as a program of its own, with a scripted model that reads every face as happy.

    scripted_run.py CAMERA DETECTOR SINK...

An error is one line on stderr and exit status 1, as with `edgefer run`.
"""

from __future__ import annotations

import sys
from functools import partial

from edgefer.errors import EdgeferError
from edgefer_device.daemon.assembly import prepare
from edgefer_device.daemon.configuration import Config
from edgefer_device.daemon.supervisor import run
from support.scripted import ScriptedClassifier

HAPPY = (0.01, 0.01, 0.01, 0.94, 0.01, 0.01, 0.01)


def main() -> int:
    camera, detector, *sinks = sys.argv[1:]
    config = Config(camera=camera, detector=detector, sinks=tuple(sinks), labels="fer2013")
    try:
        run(config, prepare=partial(prepare, load=lambda *_: ScriptedClassifier([HAPPY])))
    except EdgeferError as exc:
        print(f"edgefer: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
