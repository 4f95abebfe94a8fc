"""Signals of the operating system as something to wait for: they interrupt nothing else that the main thread does.

A signal may be delivered to any thread, also to one that a library started at import, so signal masks don't help. The
interpreter's wake-up descriptor does.
"""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Collection
from types import TracebackType
from typing import Any


class Signals:
    """A context manager for the main thread: within it the given signals only wake `wait`; then all is as before."""

    def __init__(self, wanted: Collection[signal.Signals]) -> None:
        self._wanted = wanted
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before = {wanted: signal.signal(wanted, lambda *_: None) for wanted in self._wanted}
        self._fd_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._fd_before)
        for wanted, handler in self._before.items():
            signal.signal(wanted, handler)
        self._reader.close()
        self._writer.close()

    def wait(self, timeout_s: float) -> signal.Signals | None:
        """The next signal, or None when none came in time."""
        ready, _, _ = select.select([self._reader], [], [], timeout_s)
        return signal.Signals(self._reader.recv(1)[0]) if ready else None
