"""What Windows and macOS lack, taken away from edgefer's own modules: Python starts with this.

Other packages keep theirs: they have variants of their own for each system.
"""

from __future__ import annotations

import builtins
import importlib
import subprocess
import sys
from types import ModuleType
from typing import Any

MODULES = {"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"}
"""That Windows' Python has not."""
NAMES = {
    "os": "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC chown fchmod fchown fork "
    "getegid geteuid getgid getuid killpg mkfifo pread sched_getaffinity setsid statvfs sync "
    "sysconf uname",
    "errno": "EDQUOT",
    "signal": "SIGALRM SIGHUP SIGKILL SIGQUIT SIGUSR1 pthread_sigmask",
    "socket": "AF_NETLINK AF_UNIX",
}
RUN, IMPORT = subprocess.Popen.__init__, builtins.__import__


class Without(ModuleType):
    """A module without some of its names."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__dict__["absent"] = NAMES[name].split()
        self.__dict__["whole"] = importlib.import_module(name)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["absent"]:
            raise AttributeError(f"{self.__name__}.{name} is not on every system")
        return getattr(self.__dict__["whole"], name)


POORER = {name: Without(name) for name in NAMES}


def import_module(
    name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
) -> Any:
    """Import as ever, but for edgefer's own modules."""
    if str((globals or {}).get("__name__")).startswith("edgefer") and not level:
        if name in MODULES:
            raise ModuleNotFoundError(f"{name} is not on every system", name=name)
        if name in POORER:
            return POORER[name]
    return IMPORT(name, globals, locals, fromlist, level)


def run(self: Any, args: Any, *more: Any, **options: Any) -> None:
    """Start Python alone: neither sh nor ssh is on every system."""
    words = [args] if isinstance(args, str) else [str(word) for word in args]
    if words[0] != sys.executable:
        raise FileNotFoundError(2, "is not on every system", words[0])
    RUN(self, args, *more, **options)


builtins.__import__ = import_module
subprocess.Popen.__init__ = run  # type: ignore[method-assign]  # a test's
