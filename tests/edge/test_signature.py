from __future__ import annotations

import base64
import stat
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from edgefer.bundle import open_bundle, sign_bundle, write_bundle
from edgefer.cli import main
from edgefer.errors import BundleCorrupt, BundleError, SettingsError
from edgefer.signature import (
    Signature,
    describe_signature,
    key_id,
    make_keys,
    public_of,
    read_public,
    signature_of,
)
from support.bundles import CONTENTS, manifest
from support.full_disk import no_room


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_keys(tmp_path / "maker")
    return tmp_path / "maker"


@pytest.fixture(params=["bundle", "bundle.zip"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path: Path = tmp_path / "out" / request.param
    write_bundle(path, manifest(), CONTENTS)
    return path


def test_the_private_key_is_for_its_owner_alone(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" in key.read_bytes()
    assert b"PRIVATE KEY" not in public_of(key).read_bytes()


def test_one_that_everyone_may_read_is_warned_of(
    bundle: Path, key: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sign_bundle(bundle, key)
    assert caplog.text == ""
    key.chmod(0o644)
    sign_bundle(bundle, key)
    assert f"{key}: every user of this machine may read it; run: chmod 600 {key}" in caplog.text


def test_a_key_is_never_overwritten(key: Path) -> None:
    before = key.read_bytes()
    with pytest.raises(SettingsError, match="maker: exists already"):
        make_keys(key)
    key.unlink()
    with pytest.raises(SettingsError, match=r"maker\.pub: exists already"):
        make_keys(key)
    assert not key.exists()
    assert before


def test_a_full_disk_leaves_no_key_behind(tmp_path: Path) -> None:
    with no_room(), pytest.raises(SettingsError, match="the key cannot be written: File too"):
        make_keys(tmp_path / "maker")
    assert list(tmp_path.iterdir()) == []
    assert make_keys(tmp_path / "maker")


def test_a_public_key_that_cannot_be_written_takes_the_private_one_along(tmp_path: Path) -> None:
    (tmp_path / "maker.pub").symlink_to("nowhere/maker.pub")
    with pytest.raises(SettingsError, match="the key cannot be written"):
        make_keys(tmp_path / "maker")
    assert not (tmp_path / "maker").exists()


def test_a_signed_bundle_is_verified_and_still_opens(bundle: Path, key: Path) -> None:
    signed_by = sign_bundle(bundle, key)
    assert open_bundle(bundle, signed_by=public_of(key)).manifest == manifest()
    assert open_bundle(bundle).read("int8") == CONTENTS["int8"]
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]
    found = signature_of(bundle)
    assert found is not None
    assert found.key == signed_by == key_id(read_public(public_of(key)))


def test_signing_twice_gives_the_same_bytes(tmp_path: Path, key: Path) -> None:
    write_bundle(tmp_path / "a.zip", manifest(), CONTENTS)
    sign_bundle(tmp_path / "a.zip", key)
    once = (tmp_path / "a.zip").read_bytes()
    sign_bundle(tmp_path / "a.zip", key)
    assert (tmp_path / "a.zip").read_bytes() == once


def test_a_newer_bundle_does_not_keep_the_old_signature(bundle: Path, key: Path) -> None:
    sign_bundle(bundle, key)
    write_bundle(bundle, manifest(), CONTENTS)
    assert signature_of(bundle) is None


def test_the_signature_is_plain_ed25519_over_the_manifest(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "bundle"
    write_bundle(folder, manifest(), CONTENTS)
    sign_bundle(folder, key)
    algorithm, _, value = (folder / "manifest.sig").read_text().split()
    public = forms.load_pem_public_key(public_of(key).read_bytes())
    assert isinstance(public, ed25519.Ed25519PublicKey)
    assert algorithm == "ed25519"
    public.verify(base64.b64decode(value), (folder / "manifest.json").read_bytes())


def test_an_unsigned_bundle_is_refused(bundle: Path, key: Path) -> None:
    with pytest.raises(BundleError, match=r"is not signed; expected a signature by"):
        open_bundle(bundle, signed_by=public_of(key))


def test_another_key_is_refused_and_both_are_named(bundle: Path, key: Path) -> None:
    mine, theirs = sign_bundle(bundle, key), make_keys(key.with_name("other"))
    with pytest.raises(BundleError, match=f"signed by the key {mine}, not by {theirs} in"):
        open_bundle(bundle, signed_by=public_of(key.with_name("other")))


def test_a_signature_that_claims_the_key_without_having_it_is_refused(
    tmp_path: Path, key: Path
) -> None:
    folder = tmp_path / "bundle"
    write_bundle(folder, manifest(), CONTENTS)
    forger = ed25519.Ed25519PrivateKey.generate()
    value = forger.sign((folder / "manifest.json").read_bytes())
    claimed = Signature(key_id(read_public(public_of(key))), value)
    (folder / "manifest.sig").write_bytes(claimed.encode())
    with pytest.raises(BundleCorrupt, match=r"manifest\.json is not what the key .* signed"):
        open_bundle(folder, signed_by=public_of(key))


def test_an_altered_manifest_is_refused(bundle: Path, key: Path) -> None:
    sign_bundle(bundle, key)
    alter(bundle, "manifest.json", b'"temperature": 1.0', b'"temperature": 9.0')
    with pytest.raises(BundleCorrupt, match=r"manifest\.json is not what the key .* signed"):
        open_bundle(bundle, signed_by=public_of(key))


def test_an_altered_file_is_refused(bundle: Path, key: Path) -> None:
    sign_bundle(bundle, key)
    alter(bundle, "model.int8.tflite", b"not", b"not"[::-1])
    with pytest.raises(BundleCorrupt, match=r"model\.int8\.tflite does not match its sha256"):
        open_bundle(bundle, signed_by=public_of(key))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ed25519",
        b"ed25519 00 AAAA",
        b"rsa 00 " + base64.b64encode(bytes(64)),
        b"\xff\xfe x y",
    ],
)
def test_a_file_that_is_no_signature_is_refused(tmp_path: Path, key: Path, content: bytes) -> None:
    write_bundle(tmp_path / "bundle", manifest(), CONTENTS)
    (tmp_path / "bundle" / "manifest.sig").write_bytes(content)
    with pytest.raises(BundleCorrupt, match=r"manifest\.sig is not a signature"):
        open_bundle(tmp_path / "bundle", signed_by=public_of(key))


def test_what_is_no_key_is_refused(bundle: Path, key: Path, tmp_path: Path) -> None:
    (tmp_path / "junk").write_text("hello")
    with pytest.raises(SettingsError, match="junk: not a private Ed25519 key"):
        sign_bundle(bundle, tmp_path / "junk")
    with pytest.raises(SettingsError, match="junk: not a public Ed25519 key in PEM; name"):
        open_bundle(bundle, signed_by=tmp_path / "junk")
    with pytest.raises(SettingsError, match="none: the key cannot be read: No such file"):
        sign_bundle(bundle, tmp_path / "none")
    with pytest.raises(SettingsError, match="not a public Ed25519 key in PEM but a private key"):
        open_bundle(bundle, signed_by=key)
    with pytest.raises(SettingsError, match="not a private Ed25519 key"):
        sign_bundle(bundle, public_of(key))
    assert signature_of(bundle) is None


def test_a_key_of_another_kind_or_under_a_passphrase_is_refused(
    bundle: Path, tmp_path: Path
) -> None:
    kind, form = forms.PrivateFormat.PKCS8, forms.Encoding.PEM
    other = rsa.generate_private_key(65537, 2048)
    locked = ed25519.Ed25519PrivateKey.generate()
    how = forms.BestAvailableEncryption(b"secret")
    (tmp_path / "rsa").write_bytes(other.private_bytes(form, kind, forms.NoEncryption()))
    (tmp_path / "locked").write_bytes(locked.private_bytes(form, kind, how))
    with pytest.raises(SettingsError, match="rsa: not a private Ed25519 key"):
        sign_bundle(bundle, tmp_path / "rsa")
    with pytest.raises(SettingsError, match="locked: is encrypted with a passphrase"):
        sign_bundle(bundle, tmp_path / "locked")


def edgefer(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_the_verbs_make_keys_sign_verify_and_show(bundle: Path, tmp_path: Path) -> None:
    key = tmp_path / "new" / "maker"
    assert edgefer("model", "keys", key).exit_code == 0
    assert edgefer("model", "verify", bundle, "--key", f"{key}.pub").exit_code == 1
    assert edgefer("model", "sign", bundle, "--key", key).exit_code == 0
    done = edgefer("model", "verify", bundle, "--key", f"{key}.pub")
    assert done.exit_code == 0
    assert "manifest and 2 files are as signed" in done.stderr
    alter(bundle, "manifest.json", b'"temperature": 1.0', b'"temperature": 9.0')
    done = edgefer("model", "verify", bundle, "--key", f"{key}.pub")
    assert done.exit_code == 1
    assert done.stderr.startswith("edgefer: ")
    assert done.stderr.count("\n") == 1


def test_whose_signature_a_bundle_carries_is_told_in_words(bundle: Path, key: Path) -> None:
    assert describe_signature(bundle) == "not signed"
    by = sign_bundle(bundle, key)
    assert describe_signature(bundle).startswith(f"signed by the key {by}, not verified")


def alter(bundle: Path, name: str, old: bytes, new: bytes) -> None:
    """Change bytes of one file in a folder or zip bundle; its length stays."""
    if bundle.is_dir():
        path = bundle / name
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new, 1))
        return
    with zipfile.ZipFile(bundle) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    assert old in entries[name]
    entries[name] = entries[name].replace(old, new, 1)
    with zipfile.ZipFile(bundle, "w") as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)
