"""A unit's system call filter as systemd reads it, compiled by libseccomp for other sandboxes.

Covers SystemCallFilter, SystemCallErrorNumber, RestrictAddressFamilies and RestrictNamespaces.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path

ALLOW, ERRNO = 0x7FFF0000, 0x00050000  # seccomp.h
EQUAL, MASKED_EQUAL = 4, 7
NAMESPACES = 0x7E020080  # CLONE_NEW*: cgroup, ipc, net, mount, pid, time, user, uts


class Compare(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def calls(*names: str) -> set[str]:
    """System calls and systemd's groups of them (@name) → system calls."""
    found = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        command = ["systemd-analyze", "--no-pager", "syscall-filter", name]
        lines = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
        found |= calls(*(line.strip() for line in lines[1:] if line.strip() and not line.strip().startswith("#")))
    return found


def allowed(filters: Iterable[str]) -> set[str]:
    """The system calls that lines of SystemCallFilter= leave."""
    left: set[str] = calls("@default")
    for line in filters:
        names = calls(*line.removeprefix("~").split())
        left = left - names if line.startswith("~") else left | names
    return left


def compile_filter(path: Path, filters: Iterable[str], error: str, families: Iterable[str]) -> None:
    """Writes the filter's program to `path`: what is not allowed fails with the errno named `error`."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ERRNO | getattr(errno, error))))

    def rule(action: int, name: str, *compares: Compare) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # of another architecture
            return
        array = (Compare * len(compares))(*compares)
        code = library.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(compares), array)
        assert code == 0, (name, code)

    for name in sorted(allowed(filters) - {"socket", "clone", "clone3", "unshare", "setns"}):
        rule(ALLOW, name)
    for family in families:
        rule(ALLOW, "socket", Compare(0, EQUAL, getattr(socket, family), 0))
    rule(ALLOW, "clone", Compare(0, MASKED_EQUAL, NAMESPACES, 0))
    rule(ERRNO | errno.ENOSYS, "clone3")  # its flags can't be seen; libc then takes clone, as under systemd
    with path.open("wb") as file:
        assert library.seccomp_export_bpf(context, file.fileno()) == 0
    library.seccomp_release(context)
