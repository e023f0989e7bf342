"""Files: atomic writes, deterministic zip archives, and the cache folder."""

from __future__ import annotations

import errno
import io
import os
import secrets
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from edgefer.errors import BundleCorrupt, SettingsError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
"""Endings of the image files that are read from folders."""

AGAIN = "copy it again"
"""What to do with a damaged file."""
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
"""How a new file is opened; on Windows as it is written."""


def write_atomic(path: Path, content: bytes | str, mode: int = 0o666) -> None:
    """Write a file through to the disk under another name, then rename it over `path`.

    A link is followed; an older file keeps its mode and owner, a new one gets `mode` less
    the umask. What is no regular file (a pipe, /dev/null) is written into, never replaced.
    Raises OSError.
    """
    if isinstance(content, str):
        content = content.encode()
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(beside, NEW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _keep_access(path, descriptor)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
        _sync_entry(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_output(path: Path, content: bytes | str) -> None:
    """Write a file that a user named, and its folder; raise `SettingsError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be written: {exc.strerror or exc}") from exc


def check_output(path: Path, suffix: str = "") -> None:
    """Raise `SettingsError` for a file that cannot be written, before the work that it is for.

    Its name must end in `suffix`.
    """
    if suffix and path.suffix.lower() != suffix:
        raise SettingsError(f"{path}: expected a file whose name ends in {suffix}")
    if path.is_dir():
        raise SettingsError(f"{path}: is a folder; name a file")
    if not path.parent.is_dir():
        raise SettingsError(f"{path}: no such folder {path.parent}; create it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise SettingsError(f"{path}: cannot be written; name another file")


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path` when the block ends well.

    A link is followed and folders above are made. What lay at `path` stays where the block
    or the renaming fails. Raises OSError.
    """
    path = path.resolve()
    beside, aside = (path.with_name(f".{path.name}.{end}") for end in ("part", "old"))
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(beside)
    beside.mkdir()
    try:
        yield beside
        _sync(beside)
        _remove(aside)
        if path.is_dir():
            # No rename replaces a folder that holds something.
            path.rename(aside)
        try:
            beside.rename(path)
        except OSError:
            if aside.is_dir():
                aside.rename(path)
            raise
        _remove(aside)
    finally:
        _remove(beside)


def files_in(folder: Path) -> list[Path]:
    """Return the files of a folder by name, no hidden ones: macOS puts `._a.jpg` by `a.jpg`."""
    found = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in found if not path.is_dir())


def is_image(path: Path) -> bool:
    """Return whether a file's ending is one of `IMAGE_SUFFIXES`, in any case."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def to_zip(files: Mapping[str, bytes]) -> bytes:
    """Return a .zip of files by name: sorted, deflated, dated 1980-01-01."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    return content.getvalue()


def from_zip(content: bytes) -> dict[str, bytes]:
    """Return the files of a .zip by name; raise `zipfile.BadZipFile` for anything else."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read_member(path: Path, name: str, limit: int) -> bytes | None:
    """Return a file of a model bundle, a folder or a .zip, or None where it is absent.

    No more than `limit` bytes and one are read or unpacked. Raises `BundleCorrupt` for a
    larger file, a damaged archive, and what is neither folder nor .zip.
    """
    try:
        if path.is_dir():
            content = _read_file(path / name, limit)
        else:
            with zipfile.ZipFile(path) as archive:
                content = _unpack(archive, name, limit)
    except zipfile.BadZipFile as exc:
        raise BundleCorrupt(f"{path}: not a model bundle: {_kind_of(path)}", path) from exc
    # A damaged archive raises most of these from within `zipfile`.
    except (OSError, ValueError, RuntimeError, EOFError, zlib.error, struct.error) as exc:
        number = exc.errno if isinstance(exc, OSError) else None
        why = f"damaged; {AGAIN}" if number in (None, errno.EINVAL) else os.strerror(number)
        raise BundleCorrupt(f"{path}: {name} cannot be read: {why}", path) from exc
    if content is not None and len(content) > limit:
        raise BundleCorrupt(
            f"{path}: {name} has more than the {limit:,} bytes expected; get the bundle again", path
        )
    return content


def _kind_of(path: Path) -> str:
    """Return what a file is that cannot be read as a zip."""
    with path.open("rb") as file:
        begins_well = file.read(4) == b"PK\x03\x04"
    if not begins_well:
        return "neither folder nor zip"
    whole = zipfile.is_zipfile(path)  # finds the list at its end
    return f"a {'damaged' if whole else 'truncated'} zip; {AGAIN}"


def _read_file(path: Path, limit: int) -> bytes | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return file.read(limit + 1)


def _unpack(archive: zipfile.ZipFile, name: str, limit: int) -> bytes | None:
    """Return a member; other methods than deflate unpack without a bound."""
    try:
        member = archive.getinfo(name)
    except KeyError:
        return None
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile(f"{name} is compressed by another method than deflate")
    with archive.open(member) as file:
        return file.read(limit + 1)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder: systemd's of a unit with `CacheDirectory=`, else the user's own (XDG).

    It is not made here. The user's own is `$XDG_CACHE_HOME/edgefer`, by default
    `~/.cache/edgefer` (XDG Base Directory Specification 0.8).
    """
    given = environment.get("CACHE_DIRECTORY")
    if given:
        # systemd joins several with colons; the unit names one.
        return Path(given.partition(":")[0])
    home = environment.get("XDG_CACHE_HOME")
    return Path(home or home_folder("XDG_CACHE_HOME") / ".cache") / "edgefer"


def home_folder(instead: str) -> Path:
    """Return the user's home; raise `SettingsError`, with what may be set `instead`."""
    try:
        return Path.home()
    except RuntimeError:
        raise SettingsError(f"this user has no home folder; set HOME, or {instead}") from None


def _keep_access(path: Path, descriptor: int) -> None:
    """Give an open file the owner, where that is allowed, and the mode of the one at `path`."""
    try:
        before = path.stat()
    except FileNotFoundError:
        return
    if not hasattr(os, "fchown"):
        return  # Windows
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def is_public(path: Path) -> bool:
    """Return whether every user of this machine may read a file, such as a secret."""
    with suppress(OSError):
        return bool(path.stat().st_mode & stat.S_IROTH)
    return False


def _sync_entry(path: Path) -> None:
    """Write a new name through to the disk, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync(folder: Path) -> None:
    """Wait until every file of a folder is on the disk: some report only then that it is full."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
