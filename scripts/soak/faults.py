"""Faults in a running daemon and broker, and whether every window came all the same."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

from hard.commands.processes import MosquittoProcess, wait_until
from hard.errors import CommandError
from soak.daemon import SoakDaemon, discrepancies
from soak.proxy import Proxy
from soak.workload import Sender, Subscriber, Workload, WorkloadPublisher, WorkloadResult, judge

DAEMONS_SHARE = 0.6  # of the time, from the beginning: the daemon is disturbed, then the broker
MAX_GROWTH = 1.2
DISK_BYTES = 24_000_000
END_S = 30.0


@dataclass(frozen=True, slots=True)
class FaultOptions:
    """How long, how many faults, from how many devices; `aimed` is the share of the faults that come amid a burst, and
    `max_repeats` the share of the windows that may come twice."""

    minutes: float
    kills: int
    broker_kills: int
    devices: int
    aimed: float
    max_repeats: float
    seed: int


@dataclass(slots=True)
class Observations:
    """What was done and measured on the way."""

    faults: Counter[str] = field(default_factory=Counter)
    broker_deaths: list[float] = field(default_factory=list)  # monotonic
    discrepancies: list[str] = field(default_factory=list)
    checks: int = 0  # of the counters
    sizes: list[tuple[float, int, int]] = field(default_factory=list)  # of the last start: age in s, bytes, descriptors
    exits: list[str] = field(default_factory=list)


class Faults:
    """Each fault a method; `schedule` says which comes when. `disk` holds the daemon's state, None where it can't be
    filled."""

    def __init__(
        self, broker: MosquittoProcess, daemon: SoakDaemon, proxy: Proxy, disk: Path | None, seed: int
    ) -> None:
        self.broker, self.daemon, self.proxy, self.disk = broker, daemon, proxy, disk
        self.random, self.observed, self.started_at = random.Random(seed), Observations(), time.monotonic()

    def kill_daemon(self) -> None:
        self.daemon.end(SIGKILL)
        time.sleep(self.random.choice((0.0, 0.0, 0.5, 2.0)))
        self.daemon.start()
        if self.random.random() < 0.15:  # once more while it starts
            time.sleep(self.random.uniform(0.3, 2.0))
            self.daemon.end(SIGKILL)
            self.observed.faults["kill_daemon_at_start"] += 1
            self.daemon.start()
        self.started_at, self.observed.sizes = time.monotonic(), []

    def kill_broker(self) -> None:
        self.broker.end(SIGKILL)
        self.observed.broker_deaths.append(time.monotonic())
        time.sleep(self.random.choice((0.0, 0.5, 3.0)))
        self.broker.start()

    def stop_daemon(self) -> None:
        self._pause(self.daemon)

    def stop_broker(self) -> None:
        self._pause(self.broker)

    def cut(self) -> None:
        self.proxy.cut()

    def corrupt(self) -> None:
        self.proxy.corrupt()

    def delay(self) -> None:
        self.proxy.delay_s = self.random.uniform(0.01, 0.2)
        time.sleep(2.0)
        self.proxy.delay_s = 0.0

    def fill_disk(self) -> None:
        """Ends when the journal is whole again: a kill may lose what it can't write."""
        if self.disk is None:
            return
        filler = self.disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        with contextlib.suppress(CommandError):  # the journal's file may have enough free space for that time
            wait_until(lambda: self._journal_writes() == 0, "the full disk was not noticed", 15)
            self.observed.faults["of them noticed"] += 1
        filler.unlink()
        wait_until(lambda: self._journal_writes() == 1, "the journal did not go on", 120)

    def schedule(self, seconds: int, options: FaultOptions) -> list[tuple[float, str]]:
        """(second, fault), in order."""
        split = seconds * DAEMONS_SHARE
        kills, broker_kills = options.kills, options.broker_kills
        times = []
        for begin, end, kinds in (
            (3.0, split, Counter(kill_daemon=kills, stop_daemon=kills // 10, cut=kills // 5, corrupt=kills // 10,
                                 delay=kills // 20, fill_disk=min(2, kills // 20))),
            (split + 3, seconds - 8.0, Counter(kill_broker=broker_kills, stop_broker=broker_kills // 5,
                                               cut=broker_kills // 3)),
        ):  # fmt: skip
            faults = list(kinds.elements())
            self.random.shuffle(faults)
            step = (end - begin) / max(1, len(faults))
            for i, fault in enumerate(faults):
                at = begin + step * (i + self.random.uniform(0, 0.7))
                if self.random.random() < options.aimed:  # amid a burst, which comes at each full second
                    at = int(at) + self.random.uniform(0, 0.15)
                times.append((at, fault))
        return sorted(times)

    def observe(self) -> None:
        """Checks the counters and measures the daemon."""
        metrics = self.daemon.metrics()
        if not metrics:
            return
        self.observed.checks += 1
        self.observed.discrepancies += discrepancies(metrics)
        with contextlib.suppress(OSError):
            age_s = time.monotonic() - self.started_at
            self.observed.sizes.append((age_s, self.daemon.memory_bytes(), self.daemon.descriptors()))

    def _journal_writes(self) -> float | None:
        return self.daemon.metrics().get("hard_journal_writing")

    def _pause(self, process: MosquittoProcess | SoakDaemon) -> None:
        process.send_signal(SIGSTOP)
        time.sleep(self.random.uniform(0.5, 3.0))
        process.send_signal(SIGCONT)


def inject_faults(folder: Path, options: FaultOptions) -> int:
    """Prints what was done and measured; gives an exit code."""
    with _small_disk(folder) as disk, MosquittoProcess(folder) as broker:
        workload = Workload(options.devices, round(options.minutes * 60), float(round(time.time())), options.seed)
        with Proxy(broker.port, options.seed) as proxy, Subscriber(broker.port) as subscriber:
            with SoakDaemon(folder, proxy.port, (disk or folder) / "state") as daemon:
                faults = Faults(broker, daemon, proxy, disk, options.seed)
                wait_until(daemon.subscribed, "the daemon did not subscribe", 60)
                with WorkloadPublisher(broker.port, workload) as publisher:
                    _disturb(faults, Sender(publisher, workload.seconds, time.monotonic()), workload.seconds, options)
                    expected = workload.expected()
                    _wait_for_labels(subscriber, len(expected))
                faults.observe()
                code = daemon.end(SIGTERM, END_S)
            verdict = judge(expected, publisher.acknowledged, subscriber.counts, faults.observed.broker_deaths)
    return report(faults.observed, verdict, subscriber, code=code, disk=disk is not None, options=options)


def report(
    observed: Observations,
    verdict: WorkloadResult,
    subscriber: Subscriber,
    *,
    code: int,
    disk: bool,
    options: FaultOptions,
) -> int:
    """Prints figures and what failed; gives an exit code. `code` is the daemon's own, `disk` whether one was filled."""
    repeats = verdict.repeats / verdict.expected
    print(f"faults: {dict(observed.faults)}" + ("" if disk else "; no disk filled: mounting a tmpfs needs root"))
    print(f"windows: {verdict.expected} expected, {len(verdict.missing)} missing, {verdict.lost_by_broker} lost by the")
    print(f"  broker after it had acknowledged, {verdict.repeats} repeats ({repeats:.2%}), {verdict.unknown} unknown;")
    print(f"  {subscriber.replayed} labels came from the journal")
    print(f"counters: {observed.discrepancies[:5] or f'added up in all {observed.checks} checks'}")
    late = [size for size in observed.sizes if size[0] > 60] or observed.sizes
    (_, first_bytes, first_descriptors), (age_s, last_bytes, last_descriptors) = late[0], late[-1]
    print(f"after the last start: {age_s:.0f} s, {first_bytes / 1e6:.0f} MB after a minute, {last_bytes / 1e6:.0f} MB")
    print(f"  at the end, {first_descriptors} and {last_descriptors} descriptors; exit code {code}; the last health")
    print(f"  record is balanced: {subscriber.health.get('balanced')}")
    problems = [
        (bool(verdict.missing or verdict.unknown), f"missing: {verdict.missing[:10]}"),
        (repeats > options.max_repeats, "too many repeats"),
        (bool(observed.discrepancies) or not subscriber.health.get("balanced"), "counters don't add up"),
        (last_bytes > MAX_GROWTH * first_bytes or last_descriptors > first_descriptors + 10,
         "memory or descriptors grow"),
        (bool(code or observed.exits), f"the daemon ended by itself: {observed.exits}, exit code {code}"),
    ]  # fmt: skip
    for failed, problem in problems:
        if failed:
            print(f"FAILED: {problem}")
    return int(any(failed for failed, _ in problems))


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A tmpfs that can be filled without harm; None where this user may not mount one."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield disk if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(disk)], check=False)


def _disturb(faults: Faults, sender: Sender, seconds: int, options: FaultOptions) -> None:
    """Returns when the workload is sent. It is sent by its own thread, so that no fault delays it."""
    scheduled = faults.schedule(seconds, options)
    begun = time.monotonic()
    sender.start()
    for at, fault in scheduled:
        while (wait := begun + at - time.monotonic()) > 0:
            time.sleep(min(wait, 2.0))
            faults.observe()
        if not faults.daemon.running:
            faults.observed.exits.append(f"at {at:.0f} s, before {fault}")
            faults.daemon.start()
        getattr(faults, fault)()
        faults.observed.faults[fault] += 1
        print(f"{time.monotonic() - begun:7.1f} s  {fault}", flush=True)
    sender.join()


def _wait_for_labels(subscriber: Subscriber, expected: int) -> None:
    """Returns when all windows came, or none for 20 s."""
    while len(subscriber.counts) < expected and time.monotonic() - subscriber.last_at < 20:
        time.sleep(0.2)
