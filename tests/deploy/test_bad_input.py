"""What keeps a device from being deployed to: one clear line each, and nothing is changed there."""

from __future__ import annotations

import re
import subprocess
import threading

from deploy.conftest import Laptop, covered, without
from edgefer_device.deploy.staging import GUARD
from rig.container import cable
from rig.root import PASSWORD
from support.mosquitto import free_port


def reason(laptop: Laptop, *words: object, **variables: str) -> str:
    """Deploy in vain; return why not, by the one line of its summary."""
    done = laptop.deploy(*words, **variables)
    assert done.status == 1, done.out + done.err
    assert "Traceback" not in done.err
    (line,) = done.out.splitlines()
    found = re.fullmatch(r"\S+ +failed +(.*?)(?:  \(\d+ s\))?", line)
    assert found is not None, line
    return found[1]


def host(laptop: Laptop, user: str) -> tuple[str, str]:
    return "--host", f"{user}@127.0.0.1:{laptop.device.port}"


def test_an_unknown_host_key_is_not_trusted(laptop: Laptop) -> None:
    with without(laptop.home / ".ssh" / "known_hosts"):
        assert "its host key is unknown: compare it, then log in once" in reason(laptop)


def test_nor_is_another_key_than_before(laptop: Laptop) -> None:
    known = laptop.home / ".ssh" / "known_hosts"
    before = known.read_text()
    other = laptop.home / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    name = before.split()[0]
    try:
        known.write_text(f"{name} {other.with_suffix('.pub').read_text()}")
        assert "its host key is not the one in known_hosts" in reason(laptop)
    finally:
        known.write_text(before)


def test_a_wrong_password_and_no_key(laptop: Laptop) -> None:
    with without(laptop.home / ".ssh" / "id_ed25519"):
        wrong = reason(laptop, EDGEFER_SSH_PASSWORD="guess")
        assert wrong.startswith("the password is wrong: ")
        assert reason(laptop).startswith("no key is accepted: ")
        # And the right one is let in.
        done = laptop.deploy("--dry-run", EDGEFER_SSH_PASSWORD=PASSWORD)
        assert done.status == 0, done.out


def test_no_sudo_and_sudo_with_a_password(laptop: Laptop) -> None:
    ana, guest = host(laptop, "ana"), host(laptop, "guest")
    assert "sudo asks for a password: give --ask-sudo-password" in reason(laptop, *ana)
    wrong = reason(laptop, *ana, EDGEFER_SUDO_PASSWORD="guess")
    assert wrong.startswith("ana may not use sudo, or its password is wrong")
    refused = reason(laptop, *guest, EDGEFER_SUDO_PASSWORD=PASSWORD)
    assert refused.startswith("guest may not use sudo, or its password is wrong")
    done = laptop.deploy("--dry-run", *ana, EDGEFER_SUDO_PASSWORD=PASSWORD)
    assert done.status == 0, done.out


def test_a_host_that_is_not_there(laptop: Laptop) -> None:
    away = reason(laptop, "--host", f"pi@127.0.0.1:{free_port()}")
    assert away.startswith("does not answer: Connection refused; ")
    assert reason(laptop, "--host", "pi@mirror.invalid") == "no such host: check its name"


def test_a_system_of_32_bits(laptop: Laptop) -> None:
    # A Raspberry Pi OS of 32 bits: the kernel has 64, Python has not.
    python = "case $* in *struct*) echo 3.13 32 ;; esac"
    with covered(laptop.device, "/usr/bin/python3", python):
        assert reason(laptop).startswith(
            "architecture: x86_64, 32-bit Python; LiteRT needs 64 bits"
        )
    with covered(laptop.device, "/usr/bin/uname", "[ $1 = -s ] && echo Linux || echo armv7l"):
        assert reason(laptop).startswith("architecture: armv7l")


def test_no_python_and_one_too_old(laptop: Laptop) -> None:
    with covered(laptop.device, "/usr/bin/python3", "exit 127"):
        assert reason(laptop).startswith("python: there is no /usr/bin/python3")
    with covered(laptop.device, "/usr/bin/python3", "case $* in *struct*) echo 3.9 64 ;; esac"):
        old = "python: /usr/bin/python3 is 3.9; edgefer needs 3.10: install a newer system"
        assert reason(laptop) == old


def test_a_full_disk(laptop: Laptop) -> None:
    device = laptop.device
    device.check("mkdir -p /opt/edgefer && mount -t tmpfs -o size=20M full /opt/edgefer")
    try:
        assert reason(laptop).startswith("room: 20 MB free in /opt; a release needs ")
    finally:
        device.check("umount /opt/edgefer && rmdir /opt/edgefer")


def test_no_network_here_where_the_device_is_to_fetch_its_wheels(laptop: Laptop) -> None:
    done = laptop.edgefer(
        *("deploy", "--target", "debian", "--host", laptop.address, "--wheel", laptop.wheel),
        *("--wheels", laptop.home / "wheels"),
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_EXTRA_INDEX_URL="",
        PIP_FIND_LINKS="",
        PIP_NO_INDEX="1",
    )
    assert done.status == 1
    assert "wheels for cp313-x86_64 cannot be fetched: " in done.out
    assert "is this machine online?" in done.out


def test_packages_that_a_device_without_network_lacks_are_named(laptop: Laptop) -> None:
    why = reason(laptop, "--kiosk")
    assert "offline, and it lacks: cage xwayland chromium" in why


def test_two_deployments_at_once(laptop: Laptop) -> None:
    device = laptop.device
    holder = subprocess.Popen(
        ["ssh", *device.options, "root@127.0.0.1", "echo $PPID; exec sleep 300"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    with holder.stdout as told:
        pid = int(told.readline())
    name = device.check(f"cat /proc/{pid}/comm").strip()
    began = device.check(f"cut -d' ' -f22 /proc/{pid}/stat").strip()
    assert name.startswith("sshd")
    lock = f'{{"who": "jo@desk", "pid": {pid}, "began": {began}, "since": 0}}'
    device.check(f"echo '{lock}' >/run/edgefer-deploy.lock")
    try:
        busy = reason(laptop)
        assert "jo@desk is deploying here since" in busy
        assert f"sudo kill {pid}" in busy
    finally:
        holder.kill()
        holder.wait()
    # Whoever was cut off holds it no longer.
    device.wait(f"test ! -e /proc/{pid}")
    assert "lacks: cage" in reason(laptop, "--kiosk")


def test_a_host_that_vanishes_midway(laptop: Laptop) -> None:
    with laptop.known_as(port := free_port()), cable(laptop.device, port) as process:

        def cut() -> None:
            laptop.device.wait("test -e /opt/edgefer/wheels", seconds=120)
            process.kill()

        cutter = threading.Thread(target=cut)
        cutter.start()
        gone = reason(laptop, "--host", f"pi@127.0.0.1:{port}")
        cutter.join()
    assert "connection lost while " in gone
    assert "the device runs what it ran" in gone
    assert laptop.device.ssh("test -e /opt/edgefer/current").status != 0
    # What was under way there still ends by itself; the next test wants a device at rest.
    laptop.device.wait("test -z \"$(find /opt/edgefer -newermt '-5 seconds' 2>/dev/null)\"")
    laptop.device.check(f"rm -f {GUARD}")


def test_no_network_on_the_device_which_is_to_fetch_its_wheels(laptop: Laptop) -> None:
    done = laptop.edgefer(
        *("deploy", "--target", "debian", "--host", laptop.address, "--wheel", laptop.wheel),
        *("--wheels", laptop.wheelhouse),
    )
    laptop.device.check(f"rm -f {GUARD}")
    assert done.status == 1
    (line,) = done.out.splitlines()
    assert ": pip there reaches no package index; is the device online?" in line
    assert laptop.device.ssh("test -e /opt/edgefer/current").status != 0
