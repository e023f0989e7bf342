"""Every error that edgefer raises on purpose, each also the builtin it resembles.

The text is one line for the person at the keyboard: what was wrong, what was
expected, what to do. What a caller can act on stands in attributes.

    EdgeferError
    ├── SettingsError       (ValueError)         a TOML file or an option that cannot be used
    │   └── UnknownKey      (ValueError)         .key, .nearest
    ├── DatasetError        (ValueError)         images for training or evaluation
    ├── ImageError          (ValueError)         one image that cannot be read
    ├── BundleError         (ValueError)         a model bundle
    │   ├── BundleMissing   (FileNotFoundError)  .path
    │   ├── BundleCorrupt   (ValueError)         .path, its hash, bytes or signature are wrong
    │   └── SchemaMismatch  (ValueError)         .found, .expected
    ├── RunError            (ValueError)         a training run's folder
    ├── ConversionError     (ValueError)         a model that cannot be read or converted
    ├── GateFailed          (RuntimeError)       .verdict, a conversion that lost too much
    ├── FetchError          (ConnectionError)    a download that failed
    ├── MissingExtra        (ImportError)        .extra, a package that is not installed
    ├── RuntimeMissing      (RuntimeError)       .runtime, its library or accelerator is absent
    ├── CameraError         (OSError)
    │   ├── CameraNotFound  (FileNotFoundError)  nothing there to open
    │   └── CameraLost      (OSError)            was open, gives no more frames
    ├── DetectorError       (RuntimeError)       a face detector that cannot be opened
    ├── StateError          (OSError)            a file that the daemon keeps
    │   └── HistoryError    (OSError)            the database of moods
    ├── EnrollmentError     (RuntimeError)       an enrollment that runs already, or failed
    ├── ControlError        (ConnectionError)    the daemon does not answer, or refuses
    ├── ServerError         (OSError)            an address that cannot be listened on
    ├── SinkError           (OSError)            a sink that cannot be written to
    │   └── BrokerError     (ConnectionError)    an MQTT broker that is absent or refuses
    └── DeployError         (RuntimeError)       a deployment that failed
        ├── HostUnreachable (ConnectionError)    .host, no connection, or no longer
        ├── HostRefused     (RuntimeError)       a host that cannot be deployed to as it is
        └── CommandFailed   (RuntimeError)       .status, a step on a host
"""

from __future__ import annotations

import re
from pathlib import Path

LONGEST = 2_000
"""Letters of an error's line, but for an ellipsis: a key or a name may be any length."""


def one_line(text: str) -> str:
    """Return a text as one printable line of UTF-8, whatever a stranger put into it.

    Line ends, escape sequences of terminals, marks that turn the writing's direction and halves
    of surrogates, as which Python reads what is not UTF-8, are escaped as Python does: `\\n`.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def foreign(exc: BaseException) -> str:
    """Return the first line of what a library says of a damaged file, without its own marks."""
    if isinstance(exc, UnicodeDecodeError):
        return "a name in it is not UTF-8"
    first = next((line.strip() for line in str(exc).splitlines() if line.strip()), "")
    return re.sub(r"\[\w+Error\][ :]*(\d+ : [A-Z_]+ : )?", "", first)[:160] or type(exc).__name__


class EdgeferError(Exception):
    """Base of every error raised on purpose; its text is one printable line of no great length."""

    def __str__(self) -> str:
        line = one_line(super().__str__())
        half = LONGEST // 2
        return line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}"


class SettingsError(EdgeferError, ValueError):
    """A setting, recipe or option that cannot be used."""


class UnknownKey(SettingsError):
    """A key that no setting has; `nearest` is the one probably meant, or None."""

    def __init__(self, source: str, key: str, nearest: str | None) -> None:
        hint = f"; did you mean '{nearest}'?" if nearest else ""
        super().__init__(f"{source}: unknown key '{key}'{hint}")
        self.key = key
        self.nearest = nearest


class DatasetError(EdgeferError, ValueError):
    """A dataset that is missing, damaged or not laid out as expected."""


class ImageError(EdgeferError, ValueError):
    """An image that cannot be read or has the wrong form."""


class BundleError(EdgeferError, ValueError):
    """A model bundle that cannot be used."""


class BundleMissing(BundleError, FileNotFoundError):
    """There is no bundle, or a file that its manifest names is absent."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class BundleCorrupt(BundleError):
    """A file of the bundle is not the one that its manifest describes."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class SchemaMismatch(BundleError):
    """The manifest was written for another version of the contract."""

    def __init__(self, message: str, found: object, expected: int) -> None:
        super().__init__(message)
        self.found = found
        self.expected = expected


class RunError(EdgeferError, ValueError):
    """A training run's folder that is absent, unfinished or of another recipe."""


class ConversionError(EdgeferError, ValueError):
    """A model file that cannot be read, or cannot become what was requested."""


class GateFailed(EdgeferError, RuntimeError):
    """A conversion lost more accuracy than its gate allows; `verdict` is its `manifest.Gate`."""

    def __init__(self, message: str, verdict: object) -> None:
        super().__init__(message)
        self.verdict = verdict


class FetchError(EdgeferError, ConnectionError):
    """A download that failed, or whose content is not the expected one."""


class MissingExtra(EdgeferError, ImportError):
    """A package of one of edgefer's extras that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'edgefer[{extra}]'")
        self.extra = extra


class RuntimeMissing(EdgeferError, RuntimeError):
    """A library or an accelerator that a runtime needs is absent; `runtime` is its name."""

    def __init__(self, message: str, runtime: str) -> None:
        super().__init__(message)
        self.runtime = runtime


class CameraError(EdgeferError, OSError):
    """A camera that cannot be used."""


class CameraNotFound(CameraError, FileNotFoundError):
    """Nothing stands at the camera's address."""


class CameraLost(CameraError):
    """A camera that was open gives no more frames."""


class DetectorError(EdgeferError, RuntimeError):
    """A face detector that cannot be opened."""


class StateError(EdgeferError, OSError):
    """A file of the state folder that cannot be read, used or kept."""


class HistoryError(StateError):
    """The database of moods is not ours, damaged, or cannot be written."""


class EnrollmentError(EdgeferError, RuntimeError):
    """An enrollment that cannot begin, or ended without a calibration."""


class ControlError(EdgeferError, ConnectionError):
    """The daemon does not answer on its control socket, or refuses a request."""


class ServerError(EdgeferError, OSError):
    """An address and port that cannot be listened on."""


class SinkError(EdgeferError, OSError):
    """A sink that cannot be opened or written to."""


class BrokerError(SinkError, ConnectionError):
    """An MQTT broker that cannot be reached or does not let us in."""


class DeployError(EdgeferError, RuntimeError):
    """A deployment that failed, on one host or several."""


class HostUnreachable(DeployError, ConnectionError):
    """A host that cannot be connected to, or no longer."""

    def __init__(self, message: str, host: str) -> None:
        super().__init__(message)
        self.host = host


class HostRefused(DeployError):
    """A host that cannot be deployed to as it is."""


class CommandFailed(DeployError):
    """A step that failed on a host; `status` is its exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


__all__ = [
    "BrokerError",
    "BundleCorrupt",
    "BundleError",
    "BundleMissing",
    "CameraError",
    "CameraLost",
    "CameraNotFound",
    "CommandFailed",
    "ControlError",
    "ConversionError",
    "DatasetError",
    "DeployError",
    "DetectorError",
    "EdgeferError",
    "EnrollmentError",
    "FetchError",
    "GateFailed",
    "HistoryError",
    "HostRefused",
    "HostUnreachable",
    "ImageError",
    "MissingExtra",
    "RunError",
    "RuntimeMissing",
    "SchemaMismatch",
    "ServerError",
    "SettingsError",
    "SinkError",
    "StateError",
    "UnknownKey",
]
