"""Every error that edgefer raises on purpose, each also the builtin it resembles.

The text is one line for the person at the keyboard: what was wrong, what was
expected, what to do. What a caller can act on stands in attributes.

    EdgeferError
    ├── SettingsError      (ValueError)         a TOML file or an option that cannot be used
    │   └── UnknownKey     (ValueError)         .key, .nearest
    ├── DatasetError       (ValueError)         training or evaluation pictures
    ├── ImageError         (ValueError)         one picture that cannot be read
    ├── BundleError        (ValueError)         a model bundle
    │   ├── BundleMissing  (FileNotFoundError)  .path
    │   ├── BundleCorrupt  (ValueError)         .path, the hash or the bytes are wrong
    │   └── SchemaMismatch (ValueError)         .found, .expected
    ├── RunError           (ValueError)         a training run's folder
    ├── ConversionError    (ValueError)         a model that cannot be converted
    ├── GateFailed         (RuntimeError)       .verdict, a conversion that lost too much
    ├── FetchError         (ConnectionError)    a part that a registry should give, and did not
    ├── MissingExtra       (ImportError)        .extra, a part that is not installed
    ├── CameraError        (OSError)
    │   ├── CameraNotFound (FileNotFoundError)  nothing there to open
    │   └── CameraLost     (OSError)            was open, gives no more frames
    ├── DetectorError      (RuntimeError)
    ├── DeployError        (RuntimeError)       a deployment that did not come about
    │   ├── HostUnreachable (ConnectionError)   .host, no connection, or no longer
    │   ├── HostRefused    (RuntimeError)       a host that cannot be deployed to as it is
    │   └── CommandFailed  (RuntimeError)       .status, a step on a host
    └── SinkError          (ConnectionError)    a broker or an address that refuses
"""

from __future__ import annotations

from pathlib import Path


class EdgeferError(Exception):
    """Base of every error raised on purpose; its text is one line."""


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
    """A picture that cannot be read or has the wrong form."""


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
    """A model that cannot become what was asked of it."""


class GateFailed(EdgeferError, RuntimeError):
    """A conversion lost more accuracy than its gate allows; `verdict` is its `manifest.Gate`."""

    def __init__(self, message: str, verdict: object) -> None:
        super().__init__(message)
        self.verdict = verdict


class FetchError(EdgeferError, ConnectionError):
    """A part that is fetched when it is needed and did not come, or not as it should be."""


class MissingExtra(EdgeferError, ImportError):
    """A part of edgefer that this environment does not have installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'edgefer[{extra}]'")
        self.extra = extra


class RuntimeMissing(EdgeferError, RuntimeError):
    """A library or a chip that a runtime needs is not there; `runtime` is its name."""

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


class DeployError(EdgeferError, RuntimeError):
    """A deployment that did not come about, on one host or several."""


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


class SinkError(EdgeferError, ConnectionError):
    """A sink that cannot be reached or refuses us."""


__all__ = [name for name, value in list(globals().items()) if isinstance(value, type)]
