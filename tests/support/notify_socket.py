"""The receiving end of sd_notify(3)."""

from __future__ import annotations

import socket
import threading
from pathlib import Path


class Systemd:
    """The receiving end of sd_notify: every notification in order."""

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Systemd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RD)
        self._thread.join(10)
        self._socket.close()

    def _read(self) -> None:
        while datagram := self._socket.recv(4096):
            self.heard.append(datagram.decode())

    def fed(self) -> int:
        return self.heard.count("WATCHDOG=1")

    def statuses(self) -> list[str]:
        return [word.removeprefix("STATUS=") for word in self.heard if word.startswith("STATUS=")]
