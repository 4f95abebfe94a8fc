"""The journal's file: one SQLite database in the state directory, written in groups, read whole at a start.

Two tables. `log`: a row a group, the messages taken in and the windows settled since the group before. `devices`: each
device as it stood after group `id` (NULL when it was forgotten), and its windows not yet settled. In WAL mode with
synchronous=NORMAL a written group survives the death of the process, with FULL that of the machine. Knows what bytes
mean, not when to write them. Used by one thread at a time, but for `flush`.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from hard.errors import HardError
from hard.records import DeviceState, Window

FORMAT = 1
KEPT_WAL_BYTES = 16_000_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, messages BLOB NOT NULL, settled BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS devices (name TEXT PRIMARY KEY, id INTEGER NOT NULL, state BLOB, windows BLOB NOT NULL);
"""


class StoreError(HardError):
    """The file can't be used; `broken` when what is in it can't be read and setting it aside may help."""

    def __init__(self, message: str, *, broken: bool = False) -> None:
        super().__init__(message)
        self.broken = broken


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """A message as it came, with its device."""

    device: str
    topic: str
    payload: bytes
    received_at: float
    received_wall: float
    mid: int
    qos: int
    content_type: str | None


class WindowEntry(msgspec.Struct, array_like=True, frozen=True):
    """A `Window`, arrays as bytes."""

    start: float
    end: float
    xyz: bytes
    coverage: float
    up: bytes
    forward: bytes
    calibrated: bool
    clock_offset_s: float
    received_at: float
    received_wall: float
    gait_amplitude_ms2: float = 0.0  # a file of before it was learnt has none


class StateEntry(msgspec.Struct, array_like=True, frozen=True):
    """A `DeviceState`, arrays as bytes."""

    last_received: float
    clock: tuple[float | None, ...]
    mounting: bytes
    first: float | None
    next: int
    time: bytes
    xyz: bytes
    used: bytes
    held_time: bytes
    held_xyz: bytes
    newcomer: bool = False  # a file of before it was kept has none


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A device after group `id`; `state` is None when it was forgotten."""

    device: str
    id: int
    state: DeviceState | None
    windows: Sequence[Window]


_entries = msgspec.msgpack.Decoder(list[Entry])
_names = msgspec.msgpack.Decoder(list[str])
_state = msgspec.msgpack.Decoder(StateEntry)
_windows = msgspec.msgpack.Decoder(list[WindowEntry])
_encode = msgspec.msgpack.Encoder().encode


class Store:
    """The database at `path`. Every call may raise StoreError."""

    def __init__(self, path: Path, synchronous: str = "normal") -> None:
        self.path, self._synchronous = path, synchronous
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None

    @property
    def is_open(self) -> bool:
        return self._db is not None

    def open(self) -> None:
        """Opens or makes the file, checks it, and keeps other processes out."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise StoreError(f"{self.path} is in use by another process") from error
        except OSError as error:
            self.close()
            raise StoreError(f"{error.filename or self.path} can't be used: {error.strerror}") from error
        try:
            with self._translate_errors():
                self._connect()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Lets go of the file and of the lock; never raises."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def set_aside(self) -> Path:
        """Closes and renames the file, over one that was set aside before; gives where it is now."""
        self.close()
        aside = self.path.with_suffix(".aside")
        wal = Path(f"{self.path}-wal")
        try:
            Path(f"{self.path}-shm").unlink(missing_ok=True)
            Path(f"{aside}-wal").unlink(missing_ok=True)
            self.path.replace(aside)
            if wal.exists():  # the last that was written may be there alone
                wal.replace(f"{aside}-wal")
        except OSError as error:
            raise StoreError(f"{self.path} can't be set aside: {error.strerror}") from error
        return aside

    def flush(self) -> None:
        """Moves what was written from the WAL into the file, from any thread; a failure shows at the next write."""
        if self._db is not None:
            with suppress(sqlite3.Error), closing(sqlite3.connect(self.path, timeout=0)) as other:
                other.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """One transaction: what is written within is written whole or not at all."""
        with self._translate_errors():
            db = self._database
            if db.in_transaction:
                yield db
                return
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back already
                    db.execute("ROLLBACK")
                raise

    def about(self) -> dict[str, str]:
        with self._translate_errors():
            return dict(self._database.execute("SELECT name, value FROM about"))

    def describe(self, **about: str) -> None:
        with self._translate_errors():
            self._database.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())

    def clear(self) -> None:
        """Forgets the log and the devices."""
        with self.together() as db:
            db.execute("DELETE FROM log")
            db.execute("DELETE FROM devices")

    def write(
        self, group: int, *, messages: Sequence[Entry], settled: Sequence[str], saved: Iterable[Saved],
        gone: Sequence[str], oldest: int,
    ) -> None:  # fmt: skip
        """One transaction: a row of the log, devices saved, devices `gone` for good, the log before `oldest` pruned."""
        with self.together() as db:
            if messages or settled:
                db.execute("INSERT INTO log VALUES (?, ?, ?)", (group, _encode(messages), _encode(settled)))
            db.executemany("INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?)", map(_row, saved))
            db.executemany("DELETE FROM devices WHERE name = ?", ((name,) for name in gone))
            db.execute("DELETE FROM log WHERE id < ?", (oldest,))

    def devices(self) -> list[Saved]:
        with self._translate_errors():
            rows = self._database.execute("SELECT name, id, state, windows FROM devices").fetchall()
            return [
                Saved(name, group, _unpack_state(name, state) if state else None, _unpack_windows(name, windows))
                for name, group, state, windows in rows
            ]

    def last_group(self) -> int:
        with self._translate_errors():
            query = "SELECT max(coalesce((SELECT max(id) FROM log), 0), coalesce((SELECT max(id) FROM devices), 0))"
            return int(self._database.execute(query).fetchone()[0])

    def settled(self) -> set[str]:
        """The windows that the log says are settled."""
        with self._translate_errors():
            rows = self._database.execute("SELECT settled FROM log")
            return {window_id for (row,) in rows for window_id in _names.decode(row)}

    def messages(self) -> Iterator[tuple[int, Entry]]:
        """The log's messages in order, each with its group."""
        with self._translate_errors():
            for group, row in self._database.execute("SELECT id, messages FROM log ORDER BY id"):
                for entry in _entries.decode(row):
                    yield group, entry

    def _connect(self) -> None:
        self._db = db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={self._synchronous}")
        db.execute("PRAGMA wal_autocheckpoint=0")  # `flush` does it, in another thread
        db.execute(f"PRAGMA journal_size_limit={KEPT_WAL_BYTES}")
        db.executescript(SCHEMA)
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StoreError(f"{self.path} is damaged: {found.splitlines()[0]}", broken=True)

    @property
    def _database(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreError(f"{self.path} is not open")
        return self._db

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raises StoreError for what SQLite and the decoders raise."""
        try:
            yield
        except sqlite3.Error as error:
            broken = (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
            raise StoreError(f"{self.path}: {error}", broken=broken) from error
        except (msgspec.DecodeError, ValueError) as error:
            raise StoreError(f"{self.path} holds what this version can't read: {error}", broken=True) from error


def _row(saved: Saved) -> tuple[str, int, bytes | None, bytes]:
    windows = [
        WindowEntry(
            w.start, w.end, w.xyz.tobytes(), w.coverage, w.up.tobytes(), w.forward.tobytes(), w.calibrated,
            w.clock_offset_s, w.received_at, w.received_wall, w.gait_amplitude_ms2,
        )
        for w in saved.windows
    ]  # fmt: skip
    return saved.device, saved.id, None if saved.state is None else _pack(saved.state), _encode(windows)


def _pack(state: DeviceState) -> bytes:
    held = state.held_time.tobytes(), state.held_xyz.tobytes()
    buffer = state.first, state.next, state.time.tobytes(), state.xyz.tobytes(), state.used.tobytes()
    entry = StateEntry(state.last_received, state.clock, state.mounting.tobytes(), *buffer, *held, state.newcomer)
    return _encode(entry)


def _unpack_state(device: str, blob: bytes) -> DeviceState:
    s = _state.decode(blob)
    used = np.frombuffer(s.used, bool).copy()  # the buffer writes into it
    buffer = s.first, s.next, np.frombuffer(s.time), np.frombuffer(s.xyz).reshape(-1, 3), used
    held = np.frombuffer(s.held_time), np.frombuffer(s.held_xyz).reshape(-1, 3)
    return DeviceState(device, s.last_received, s.clock, np.frombuffer(s.mounting), *buffer, *held, s.newcomer)


def _unpack_windows(device: str, blob: bytes) -> list[Window]:
    return [
        Window(
            device, w.start, w.end, np.frombuffer(w.xyz, np.float32).reshape(-1, 3), w.coverage,
            np.frombuffer(w.up, np.float32), np.frombuffer(w.forward, np.float32), w.calibrated, w.clock_offset_s,
            w.received_at, w.received_wall, replayed=True, gait_amplitude_ms2=w.gait_amplitude_ms2,
        )
        for w in _windows.decode(blob)
    ]  # fmt: skip
