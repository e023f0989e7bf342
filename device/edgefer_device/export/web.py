"""The page as files: its own, those that the mirror's shares, runtime, models and texts."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edgefer.bundle import Bundle
from edgefer.errors import BundleError
from edgefer_device.export.contract import FILES, contract_of
from edgefer_device.export.npm import Package, fetch, member
from edgefer_device.faces.blazeface import find_model
from edgefer_device.page.assets import SHARED, page_files
from edgefer_device.sinks.mirror.settings import languages
from edgefer_device.sinks.mirror.texts import texts

PAGE = Path(__file__).parent / "page"
LITERT = Package(
    "@litertjs/core",
    "2.5.3",
    "sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
)
"""LiteRT as WebAssembly (Apache-2.0). Its compat build wants neither relaxed SIMD nor threads, and
so no headers that few hosts can send; measured bit-equal with LiteRT in Python."""
GLUE, WASM = (f"wasm/litert_wasm_compat_internal.{kind}" for kind in ("js", "wasm"))
UNREAD = re.compile(rb"^[ \t]*//.*\n|^[ \t]+|^\n", re.MULTILINE)
"""A quarter of the glue: lines that only comment, indentation, empty lines. None of its strings
goes over a line's end."""
SERVICE = "service.js"
POLICY = re.compile(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"')

Files = dict[str, bytes]


def web_files(bundle: Bundle, cache: Path | None = None) -> Files:
    """Return the page's files by name, with a bundle's int8 model.

    Raises `BundleError` where the bundle has none, `DetectorError` where BlazeFace's model is not
    installed, and `FetchError` where the runtime cannot be fetched.
    """
    model = _int8(bundle)
    files = {name: path.read_bytes() for name, path in page_files(SHARED, PAGE).items()}
    files |= _spoken()
    files["contract.json"] = msgspec.json.encode(contract_of(bundle.manifest, _names()))
    files[FILES["classifier"]] = _packed(model)
    files[FILES["detector"]] = _packed(find_model().read_bytes())
    files |= _runtime(cache)
    # Last, since it names all others with their hashes.
    files[SERVICE] = _release(files) + files[SERVICE]
    return dict(sorted(files.items()))


def policy_of(files: Mapping[str, bytes]) -> str:
    """Return the Content-Security-Policy that the page's own HTML declares."""
    found = POLICY.search(files["index.html"].decode())
    assert found is not None, "index.html declares its policy"
    return html.unescape(found[1])


def _int8(bundle: Bundle) -> bytes:
    if "int8" not in bundle.contents:
        raise BundleError(
            f"{bundle.path}: the page runs an int8 file, which this bundle lacks; "
            "convert it again with --formats int8"
        )
    return bundle.read("int8")


def _runtime(cache: Path | None) -> Files:
    tarball = fetch(LITERT, cache)
    # A classic script that names its factory; the page imports modules only.
    glue = UNREAD.sub(b"", member(tarball, GLUE)) + b"\nexport default ModuleFactory;\n"
    return {"litert.js": glue, FILES["runtime"]: _packed(member(tarball, WASM))}


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def _release(files: Mapping[str, bytes]) -> bytes:
    listed = {name: _entry(content) for name, content in files.items() if name != SERVICE}
    release = msgspec.json.encode({"policy": policy_of(files), "files": listed})
    return b"self.RELEASE = " + release + b";\n"


def _entry(content: bytes) -> dict[str, object]:
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return {"hash": digest, "bytes": len(content)}


def _spoken() -> Files:
    """Return each language's texts: the mirror's, and the phone's own over them."""
    return {
        f"texts.{code}.json": msgspec.json.encode(texts(code) | _own(code)) for code in _own_codes()
    }


def _names() -> dict[str, str]:
    return {code: str(_own(code)["language"]) for code in _own_codes()}


def _own(code: str) -> dict[str, Any]:
    path = PAGE / "languages" / f"{code}.json"
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])


def _own_codes() -> list[str]:
    return [code for code in languages() if (PAGE / "languages" / f"{code}.json").is_file()]
