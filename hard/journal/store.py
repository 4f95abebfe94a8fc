"""The journal's file: one SQLite database in the state directory, written in groups, read whole at a start.

Table `log` has a row for each group: the messages taken in and the windows resolved since the group before. Table
`devices` has each device as it stood after group `id` (NULL when it was forgotten), and its unresolved windows. In WAL
mode with synchronous=NORMAL a written group survives the death of the process, with FULL that of the machine. This
module knows what the bytes mean, not when to write them. One thread at a time uses it, except for `flush`.
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
from hard.records import BufferState, ClockState, DeviceState, MountingState, RecentState, StateMemory, Window

FORMAT = 4  # SQLite's user_version; a file of another format is unreadable
KEPT_WAL_BYTES = 16_000_000
SCHEMA = f"""
BEGIN;
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE log (id INTEGER PRIMARY KEY, messages BLOB NOT NULL, resolved BLOB NOT NULL);
CREATE TABLE devices (name TEXT PRIMARY KEY, id INTEGER NOT NULL, state BLOB, windows BLOB NOT NULL);
PRAGMA user_version={FORMAT};
COMMIT;
"""


class StoreError(HardError):
    """The file can't be used. If what is in it is `unreadable`, setting the file aside may help."""

    def __init__(self, message: str, *, unreadable: bool = False) -> None:
        super().__init__(message)
        self.unreadable = unreadable


class MessageEntry(msgspec.Struct, array_like=True, frozen=True):
    """A `Message` as it came, with the device that it names."""

    device: str
    topic: str
    payload: bytes
    received_at: float
    received_wall: float
    mid: int
    qos: int
    content_type: str | None


class ResolvedEntry(msgspec.Struct, array_like=True, frozen=True):
    """A window of `device` that is resolved, by its id; None for a silence. `memory` is that of the device's state from
    then on, None where it stays as it was."""

    device: str
    window_id: str | None
    memory: StateMemory | None


class WindowEntry(msgspec.Struct, array_like=True, frozen=True):
    """A `Window`, arrays as bytes."""

    start: float
    end: float
    xyz: bytes
    coverage: float
    up: bytes
    forward: bytes
    calibrated: bool
    before: bytes
    clock_offset_s: float
    received_at: float
    received_wall: float
    place: str | None = None
    problems: tuple[str, ...] = ()
    worn: bool = True


class StateEntry(msgspec.Struct, array_like=True, frozen=True):
    """A `DeviceState`, arrays as bytes, and the memory of its activity state."""

    last_received: float
    clock: ClockState
    mounting: MountingState
    run_start: float | None
    next_window: int
    time: bytes
    xyz: bytes
    used: bytes
    held_time: bytes
    held_xyz: bytes
    has_closed_window: bool
    recent_start: float
    recent: bytes
    memory: StateMemory | None


@dataclass(frozen=True, slots=True, eq=False)
class SavedDevice:
    """A device as it stood after `group`, with its unresolved windows, and the `memory` of its activity state after its
    last resolved one; `state` is None when it was forgotten."""

    device: str
    group: int
    state: DeviceState | None
    windows: Sequence[Window]
    memory: StateMemory | None = None


_entries = msgspec.msgpack.Decoder(list[MessageEntry])
_resolved = msgspec.msgpack.Decoder(list[ResolvedEntry])
_state = msgspec.msgpack.Decoder(StateEntry)
_windows = msgspec.msgpack.Decoder(list[WindowEntry])
_encode = msgspec.msgpack.Encoder().encode


class Store:
    """The database at `path`. Every call may raise StoreError."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self.path, self._synchronous = path, synchronous
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None

    @property
    def is_open(self) -> bool:
        return self._db is not None

    def open(self) -> None:
        """Opens or makes the file, locks it against other processes and checks it."""
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
        """Closes the file and releases the lock; never raises."""
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def set_aside(self) -> Path:
        """Closes and renames the file, over one that was set aside before; gives its new path."""
        self.close()
        aside = self.path.with_suffix(".aside")
        wal = Path(f"{self.path}-wal")
        try:
            Path(f"{self.path}-shm").unlink(missing_ok=True)
            Path(f"{aside}-wal").unlink(missing_ok=True)
            self.path.replace(aside)
            if wal.exists():  # it may hold what was written last
                wal.replace(f"{aside}-wal")
        except OSError as error:
            raise StoreError(f"{self.path} can't be set aside: {error.strerror}") from error
        return aside

    def flush(self) -> None:
        """Moves what was written from the WAL into the file. From any thread; a failure shows at the next write."""
        if self._db is not None:
            with suppress(sqlite3.Error), closing(sqlite3.connect(self.path, timeout=0)) as other:
                other.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """What is written within is written whole or not at all."""
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
        """What `describe` wrote about the file, by name."""
        with self._translate_errors():
            return dict(self._database.execute("SELECT name, value FROM about"))

    def describe(self, **about: str) -> None:
        """Writes facts about the file."""
        with self._translate_errors():
            self._database.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())

    def clear(self) -> None:
        """Deletes the log and the devices."""
        with self.transaction() as db:
            db.execute("DELETE FROM log")
            db.execute("DELETE FROM devices")

    def write(
        self, group: int, *, messages: Sequence[MessageEntry], resolved: Sequence[ResolvedEntry],
        saved: Iterable[SavedDevice], forgotten: Sequence[str], oldest: int,
    ) -> None:  # fmt: skip
        """One transaction: adds the log's row of `group`, saves devices, deletes the rows of devices `forgotten`, and
        prunes the log before group `oldest`."""
        with self.transaction() as db:
            if messages or resolved:
                db.execute("INSERT INTO log VALUES (?, ?, ?)", (group, _encode(messages), _encode(resolved)))
            db.executemany("INSERT OR REPLACE INTO devices VALUES (?, ?, ?, ?)", map(_row, saved))
            db.executemany("DELETE FROM devices WHERE name = ?", ((name,) for name in forgotten))
            db.execute("DELETE FROM log WHERE id < ?", (oldest,))

    def devices(self) -> list[SavedDevice]:
        """Every row of the devices, also of those that were forgotten."""
        with self._translate_errors():
            rows = self._database.execute("SELECT name, id, state, windows FROM devices").fetchall()
            return [_saved(*row) for row in rows]

    def last_group(self) -> int:
        """The newest group in the file; 0 in a new one."""
        with self._translate_errors():
            query = "SELECT max(coalesce((SELECT max(id) FROM log), 0), coalesce((SELECT max(id) FROM devices), 0))"
            return int(self._database.execute(query).fetchone()[0])

    def resolved(self) -> list[tuple[int, ResolvedEntry]]:
        """What the log says is resolved, in order, each with its group."""
        with self._translate_errors():
            rows = self._database.execute("SELECT id, resolved FROM log ORDER BY id").fetchall()
            return [(group, entry) for group, row in rows for entry in _resolved.decode(row)]

    def messages(self) -> Iterator[tuple[int, MessageEntry]]:
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
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StoreError(f"{self.path} is damaged: {found.splitlines()[0]}", unreadable=True)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != FORMAT:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
                raise StoreError(f"{self.path} has format {version}, this version reads {FORMAT}", unreadable=True)
            db.executescript(SCHEMA)

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
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            unreadable = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
            raise StoreError(f"{self.path}: {error}", unreadable=unreadable) from error
        except (msgspec.DecodeError, ValueError) as error:
            raise StoreError(f"{self.path} holds what this version can't read", unreadable=True) from error


def _row(saved: SavedDevice) -> tuple[str, int, bytes | None, bytes]:
    windows = [
        WindowEntry(
            w.start, w.end, w.xyz.tobytes(), w.coverage, w.up.tobytes(), w.forward.tobytes(), w.calibrated,
            w.before.tobytes(), w.clock_offset_s, w.received_at, w.received_wall, w.place, w.problems, w.worn,
        )
        for w in saved.windows
    ]  # fmt: skip
    state = None if saved.state is None else _pack(saved.state, saved.memory)
    return saved.device, saved.group, state, _encode(windows)


def _pack(state: DeviceState, memory: StateMemory | None) -> bytes:
    buffer = state.buffer
    samples = buffer.time.tobytes(), buffer.xyz.tobytes(), buffer.used.tobytes()
    held = state.held_time.tobytes(), state.held_xyz.tobytes()
    run = buffer.run_start, buffer.next_window
    entry = StateEntry(
        state.last_received, state.clock, state.mounting, *run, *samples, *held, state.has_closed_window,
        state.recent.start, state.recent.samples.tobytes(), memory,
    )  # fmt: skip
    return _encode(entry)


def _saved(device: str, group: int, blob: bytes | None, windows: bytes) -> SavedDevice:
    if blob is None:
        return SavedDevice(device, group, None, _unpack_windows(device, windows))
    s = _state.decode(blob)
    used = np.frombuffer(s.used, bool).copy()  # the buffer writes into it
    buffer = BufferState(s.run_start, s.next_window, np.frombuffer(s.time), np.frombuffer(s.xyz).reshape(-1, 3), used)
    held = np.frombuffer(s.held_time), np.frombuffer(s.held_xyz).reshape(-1, 3)
    recent = RecentState(s.recent_start, np.frombuffer(s.recent, np.float32).reshape(-1, 3))
    state = DeviceState(device, s.last_received, s.clock, s.mounting, buffer, *held, s.has_closed_window, recent)
    return SavedDevice(device, group, state, _unpack_windows(device, windows), s.memory)


def _unpack_windows(device: str, blob: bytes) -> list[Window]:
    return [
        Window(
            device, w.start, w.end, np.frombuffer(w.xyz, np.float32).reshape(-1, 3), w.coverage,
            np.frombuffer(w.up, np.float32), np.frombuffer(w.forward, np.float32), w.calibrated, w.clock_offset_s,
            w.received_at, w.received_wall, replayed=True, place=w.place, problems=w.problems, worn=w.worn,
            before=np.frombuffer(w.before, np.float32).reshape(-1, 3),
        )
        for w in _windows.decode(blob)
    ]  # fmt: skip
