"""Notifications to systemd, sd_notify(3): plain facts in, datagrams out. Never fails, and is silent without a listener.

Whether the service is well is decided in `watchdog`.
"""

from __future__ import annotations

import os
import socket
from time import monotonic_ns

STATUS_EVERY_S = 10.0
MICRO = 1_000_000


def notify(*lines: str) -> None:
    """Sends `lines` as one notification."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect("\0" + address[1:] if address[0] == "@" else address)
            sender.sendall("\n".join(lines).encode())
    except OSError:
        pass


def ready() -> None:
    """Started, or reloaded."""
    notify("READY=1")


def reloading() -> None:
    """Settings are read again; `ready` must follow."""
    notify("RELOADING=1", f"MONOTONIC_USEC={monotonic_ns() // 1000}")


def stopping(within_s: float) -> None:
    """The service stops within `within_s`, whatever TimeoutStopSec says."""
    notify("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(within_s * MICRO)}")


def status(line: str) -> None:
    """What `systemctl status` shows."""
    notify(f"STATUS={line}")


def watchdog_interval_s() -> float | None:
    """WatchdogSec of the unit, where it is set and meant for this process."""
    try:
        ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        interval_s = int(os.environ.get("WATCHDOG_USEC", "0")) / MICRO
    except ValueError:
        return None
    return interval_s if ours and interval_s > 0 else None


class Notifier:
    """Notifications of a running service: keep-alives in time for the unit's watchdog, status lines at a limited rate.

    `interval_s` is the watchdog's; None without one."""

    def __init__(self, interval_s: float | None) -> None:
        self.interval_s = interval_s
        self._kept_alive_at = self._status_at = float("-inf")
        self._topic = ""

    def keep_alive(self, now: float) -> None:
        """The service is well at the monotonic time `now`."""
        if self.interval_s is not None and now - self._kept_alive_at >= self.interval_s / 4:
            self._kept_alive_at = now
            notify("WATCHDOG=1")

    def status_due(self, now: float, topic: str) -> bool:
        """Whether a status line is due: at once where its `topic` changed, else every STATUS_EVERY_S."""
        if topic == self._topic and now - self._status_at < STATUS_EVERY_S:
            return False
        self._topic, self._status_at = topic, now
        return True
