#!/usr/bin/env python3
"""Injects faults into a running daemon and broker, and checks that nothing is lost.

    python scripts/chaos.py [--minutes 30] [--kills 100] [--broker-kills 30] [--devices 50] [--seed 0]

The first 60 % of the time the daemon is killed (-9), stopped and continued, its connection cut inside packets, delayed
and filled with bytes that are no MQTT, and its disk filled (a tmpfs, as root). Then the broker is killed (-9) and
stopped, with the daemon left alone. A publisher follows a known plan; every window of an undisturbed run of that plan
must reach a subscriber. Exit code 1 where one is missing that the broker had not acknowledged and lost, where more than
2 % come twice (a kill costs up to a second's labels), where counters don't add up, or where memory or descriptors grow.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from soak.fuzz import fuzz
from soak.overload import overload
from soak.processes import CONTINUE, KILL, STOP, TERM, Broker, Daemon, unbalanced, until
from soak.proxy import Proxy
from soak.workload import Publisher, Sender, Subscriber, Workload, judge

DAEMONS_SHARE = 0.6
MOST_GROWTH = 1.2
DISK_BYTES = 24_000_000


@dataclass
class Seen:
    """What was done and measured on the way."""

    faults: Counter[str] = field(default_factory=Counter)
    broker_deaths: list[float] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)
    looks: int = 0
    vitals: list[tuple[float, int, int]] = field(default_factory=list)  # age in s, memory, descriptors: the last life
    exits: list[str] = field(default_factory=list)


class Chaos:
    """The faults, each a method; `schedule` says which comes when."""

    def __init__(self, broker: Broker, daemon: Daemon, proxy: Proxy, disk: Path | None, seed: int) -> None:
        self.broker, self.daemon, self.proxy, self.disk = broker, daemon, proxy, disk
        self.random, self.seen, self.born = random.Random(seed), Seen(), time.monotonic()

    def kill_daemon(self) -> None:
        self.daemon.end(KILL)
        time.sleep(self.random.choice((0.0, 0.0, 0.5, 2.0)))
        self.daemon.start()
        if self.random.random() < 0.15:  # once more while it starts
            time.sleep(self.random.uniform(0.3, 2.0))
            self.daemon.end(KILL)
            self.seen.faults["kill_daemon_at_start"] += 1
            self.daemon.start()
        self.born, self.seen.vitals = time.monotonic(), []

    def kill_broker(self) -> None:
        self.broker.end(KILL)
        self.seen.broker_deaths.append(time.monotonic())
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
        """No kill before the journal is whole again: what it can't write, a kill may lose."""
        if self.disk is None:
            return
        filler = self.disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        with contextlib.suppress(TimeoutError):  # the file may have room of its own for as long
            until(lambda: self.daemon.metrics().get("hard_journal_writing") == 0, 15, "the full disk was not noticed")
            self.seen.faults["of them noticed"] += 1
        filler.unlink()
        until(lambda: self.daemon.metrics().get("hard_journal_writing") == 1, 120, "the journal did not go on")

    def _pause(self, process: Broker | Daemon) -> None:
        process.signal(STOP)
        time.sleep(self.random.uniform(0.5, 3.0))
        process.signal(CONTINUE)

    def schedule(self, seconds: int, kills: int, broker_kills: int, aimed: float) -> list[tuple[float, str]]:
        """(second, fault), in order."""
        split = seconds * DAEMONS_SHARE
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
                if self.random.random() < aimed:  # amid a burst, which comes at each full second
                    at = int(at) + self.random.uniform(0, 0.15)
                times.append((at, fault))
        return sorted(times)

    def look(self) -> None:
        """Are the counters balanced, and how large is the daemon?"""
        metrics = self.daemon.metrics()
        if not metrics:
            return
        self.seen.looks += 1
        self.seen.unbalanced += unbalanced(metrics)
        with contextlib.suppress(OSError):
            vitals = (time.monotonic() - self.born, self.daemon.memory_bytes(), self.daemon.descriptors())
            self.seen.vitals.append(vitals)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30, metavar="N", help="how long (30)")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="of the daemon (100)")
    parser.add_argument("--broker-kills", type=int, default=30, metavar="N", help="(30)")
    parser.add_argument("--devices", type=int, default=50, metavar="N", help="a message a second each, at once (50)")
    parser.add_argument("--fuzz", type=int, default=0, metavar="N", help="instead: N bad payloads among honest devices")
    parser.add_argument("--rate", type=float, metavar="R", help="bad payloads a second (as many as are taken)")
    parser.add_argument("--aimed", type=float, default=0.0, metavar="SHARE", help="of faults, at the bursts (0)")
    parser.add_argument("--most-repeats", type=float, default=0.02, metavar="SHARE", help="of all windows (0.02)")
    parser.add_argument(
        "--overload", action="store_true", help="instead: twice what the model can label, for --minutes"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the schedule and the data (0)")
    args = parser.parse_args()
    if args.overload:
        with tempfile.TemporaryDirectory() as name:
            return overload(Path(name), round(args.minutes * 60), args.seed)
    if args.fuzz:
        with tempfile.TemporaryDirectory() as name:
            return fuzz(Path(name), args.fuzz, args.seed, args.rate)
    with tempfile.TemporaryDirectory() as name, small_disk(Path(name)) as disk:
        return run(args, Path(name), disk)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
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


def run(args: argparse.Namespace, folder: Path, disk: Path | None) -> int:
    broker = Broker(folder)
    broker.start()
    plan = Workload(args.devices, round(args.minutes * 60), float(round(time.time())), args.seed)
    with Proxy(broker.port, args.seed) as proxy, Subscriber(broker.port) as subscriber:
        daemon = Daemon(folder, proxy.port, (disk or folder) / "state")
        chaos = Chaos(broker, daemon, proxy, disk, args.seed)
        try:
            daemon.start()
            until(daemon.subscribed, 60, "the daemon's first subscription")
            with Publisher(broker.port, plan) as publisher:
                disturb(chaos, plan, publisher, args)
                settle(subscriber, len(plan.expected()))
            chaos.look()
            code = daemon.end(TERM)
            outcome = judge(plan, publisher, subscriber, chaos.seen.broker_deaths)
        finally:
            daemon.end(KILL)
            broker.end(KILL)
    return report(chaos, outcome, subscriber, code=code, disk=disk is not None, most_repeats=args.most_repeats)


def disturb(chaos: Chaos, plan: Workload, publisher: Publisher, args: argparse.Namespace) -> None:
    """The plan on its own thread of time, the faults on this one."""
    faults = chaos.schedule(plan.seconds, args.kills, args.broker_kills, args.aimed)
    begun = time.monotonic()
    sender = Sender(publisher, plan.seconds, begun)
    sender.start()
    for at, fault in faults:
        while (wait := begun + at - time.monotonic()) > 0:
            time.sleep(min(wait, 2.0))
            chaos.look()
        if not chaos.daemon.running:
            chaos.seen.exits.append(f"at {at:.0f} s, before {fault}")
            chaos.daemon.start()
        getattr(chaos, fault)()
        chaos.seen.faults[fault] += 1
        print(f"{time.monotonic() - begun:7.1f} s  {fault}", flush=True)
    sender.join()


def settle(subscriber: Subscriber, expected: int) -> None:
    """Until all have come, or nothing comes any more."""
    while len(subscriber.counts) < expected and time.monotonic() - subscriber.last_at < 20:
        time.sleep(0.2)


def report(chaos: Chaos, outcome, subscriber: Subscriber, *, code: int, disk: bool, most_repeats: float) -> int:
    seen, problems = chaos.seen, []
    repeats = outcome.repeats / outcome.expected
    print(f"faults: {dict(seen.faults)}" + ("" if disk else "; no disk filled: mounting a tmpfs needs root"))
    print(f"windows: {outcome.expected} expected, {len(outcome.missing)} missing, {outcome.lost_by_broker} lost by the")
    print(f"  broker after it had acknowledged, {outcome.repeats} repeats ({repeats:.2%}), {outcome.unknown} unknown;")
    print(f"  {subscriber.replayed} labels came from the journal")
    print(f"counters: balanced at {seen.looks} looks" if not seen.unbalanced else f"counters: {seen.unbalanced[:5]}")
    settled = [(m, d) for age, m, d in seen.vitals if age > 60] or [(m, d) for _, m, d in seen.vitals]
    (first, first_d), (last, last_d) = settled[0], settled[-1]
    print(
        f"last life: {seen.vitals[-1][0]:.0f} s, {first / 1e6:.0f} MB after a minute, {last / 1e6:.0f} MB at the end,"
    )
    print(f"  {first_d} and {last_d} descriptors; exit code {code}; balanced: {subscriber.health.get('balanced')}")
    if outcome.missing or outcome.unknown:
        problems.append(f"missing: {outcome.missing[:10]}")
    if repeats > most_repeats:
        problems.append("too many repeats")
    if seen.unbalanced or not subscriber.health.get("balanced"):
        problems.append("counters don't balance")
    if last > MOST_GROWTH * first or last_d > first_d + 10:
        problems.append("memory or descriptors grow")
    if code or seen.exits:
        problems.append(f"the daemon ended by itself: {seen.exits}, exit code {code}")
    for problem in problems:
        print(f"FAILED: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
