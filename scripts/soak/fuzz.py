"""Bad payloads by the million beside good devices: nothing may crash, leak or wait for them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from signal import SIGTERM
from typing import Any

from hard.commands.processes import MosquittoProcess, wait_until
from soak.daemon import SoakDaemon, discrepancies
from soak.workload import Sender, Subscriber, Workload, WorkloadPublisher, persistent_client

ROUND = 500
GOOD_DEVICES = 5
ALONE_S = 30
FIRST_WINDOW_S = 4
MAX_WAITING = 1000  # at the broker and in the daemon: more would only measure the queue
MAX_GROWTH = 1.2
END_S = 30.0
TOPICS = ("sensors/fuzz/accel", "sensors/@x/accel", "sensors//accel")
VALUES: tuple[Any, ...] = (None, "x", [], {}, 1e308, -1e308, 1e-300, 2**63, True, [[[]]], 0, 5e9, 1e12)


def mutated(random_: random.Random, good: bytes) -> tuple[str, bytes]:
    """A random message, or a good one mutated: topic and payload."""
    topics = (*TOPICS, f"sensors/f{random_.randrange(300)}/accel", f"sensors/{random_.random()}/accel")
    topic, kind = random_.choice(topics), random_.randrange(6)
    if kind == 0:
        return topic, random_.randbytes(random_.randrange(200))
    if kind == 1:
        changed = bytearray(good)
        for _ in range(random_.randrange(1, 6)):
            changed[random_.randrange(len(changed))] = random_.randrange(256)
        return topic, bytes(changed)
    if kind == 2:
        return topic, good[: random_.randrange(len(good))]
    value = random_.choice((*VALUES, time.time()))
    if kind == 3:
        rate = random_.choice([0, -1, 20, 999, 1e9, "x"])
        return topic, json.dumps({"t0": value, "rate": rate, "xyz": [[1, 2, 3]] * random_.randrange(30)}).encode()
    if kind == 4:
        return topic, json.dumps({"t": value, "x": 1, "y": random_.choice([2, 1e300, "y"]), "z": 3}).encode()
    times = [time.time() + random_.uniform(-1e4, 1e4) for _ in range(random_.randrange(20))]
    return topic, json.dumps({"t": times, "x": times, "y": [0] * len(times), "z": [9.8] * len(times)}).encode()


def fuzz(folder: Path, payloads: int, seed: int, rate: float | None = None) -> int:
    """Prints what was measured; gives an exit code. `rate` is the greatest number of bad payloads a second."""
    workload = Workload(GOOD_DEVICES, 100_000, float(round(time.time())), seed)
    with (
        MosquittoProcess(folder) as broker,
        SoakDaemon(folder, broker.port, folder / "state", ("ingest.max_devices=1000",)) as daemon,
    ):
        wait_until(daemon.subscribed, "the daemon did not subscribe", 60)
        with WorkloadPublisher(broker.port, workload) as publisher, Subscriber(broker.port) as subscriber:
            sender = Sender(publisher, workload.seconds, time.monotonic())
            sender.start()
            time.sleep(ALONE_S)
            begun = time.monotonic()
            memory, problems = _flood(broker, daemon, workload, payloads, rate)
            lasted_s = time.monotonic() - begun
            sender.stop()
            expected = GOOD_DEVICES * (len(sender.sent_at) - FIRST_WINDOW_S + 1)
            wait_until(lambda: _good_windows(subscriber) >= expected, "labels of good devices are missing", 120)
        metrics = daemon.metrics()
        code = daemon.end(SIGTERM, END_S)
    refused = sum(value for name, value in metrics.items() if name.startswith("hard_rejected_messages_total"))
    print(f"{payloads} bad payloads in {lasted_s:.0f} s, {refused:.0f} refused; exit code {code}")
    print("a good device's label comes after its last sample was sent, of it since receipt:")
    waits = _latencies(workload, sender.sent_at, subscriber)
    for when, bad in (("alone", False), ("beside the bad ones", True)):
        some = [wait for wait in waits if (wait[0] > begun) == bad]
        (median, p99), (here, here99) = (quantiles([wait[part] for wait in some]) for part in (1, 2))
        print(f"  {when} {median:.3f} s, {here:.3f} s (median), {p99:.3f} s, {here99:.3f} s (99 %), {len(some)} labels")
    print(
        f"memory: {memory[0] / 1e6:.0f} MB after a fifth, at most {max(memory) / 1e6:.0f} MB; "
        f"counters: {problems or 'added up'}"
    )
    failed = bool(code or problems or max(memory) > MAX_GROWTH * memory[0])
    if failed:
        print("FAILED")
    return int(failed)


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Median, 99 %; 0 where there is nothing."""
    ordered = sorted(values) or [0.0]
    return ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))]


def _flood(
    broker: MosquittoProcess, daemon: SoakDaemon, workload: Workload, payloads: int, rate: float | None
) -> tuple[list[int], list[str]]:
    """Sends the bad payloads at `rate`, or as fast as they are taken. Gives the daemon's memory after each round, and
    what didn't add up."""
    random_, sent, memory, problems = random.Random(workload.seed), 0, [], []
    good = [workload.payload(0, second) for second in range(50)]
    client = persistent_client(broker.port, "fuzz")
    client.loop_start()
    begun, received_before = time.monotonic(), _received(daemon)

    def wait_until_received(count: int) -> None:
        wait_until(lambda: _received(daemon) - received_before >= count, "the bad payloads were not taken", 120)

    try:
        while sent < payloads:
            for i in range(sent, sent + ROUND):
                if rate:
                    time.sleep(max(0.0, begun + i / rate - time.monotonic()))
                topic, payload = mutated(random_, random_.choice(good))
                client.publish(topic, payload, qos=1)
            sent += ROUND
            wait_until_received(sent - MAX_WAITING + 1)
            problems += discrepancies(daemon.metrics())
            if sent >= payloads // 5:
                memory.append(daemon.memory_bytes())
        wait_until_received(payloads)
    finally:
        client.disconnect()
        client.loop_stop()
    return memory, problems


def _received(daemon: SoakDaemon) -> float:
    return daemon.metrics().get("hard_messages_received_total", 0.0)


def _good_windows(subscriber: Subscriber) -> int:
    return sum(n > 0 for window_id, n in list(subscriber.counts.items()) if window_id.startswith("d0"))


def _latencies(
    workload: Workload, sent_at: Sequence[float], subscriber: Subscriber
) -> list[tuple[float, float, float]]:
    """For each window of a good device: when its last sample was sent (monotonic), how many seconds later its label
    came, and how many of them after receipt."""
    found, good = [], set(workload.names())
    for window_id, (came_at, since_receipt_s) in subscriber.came_at.items():
        device, _, end_ms = window_id.partition(":")
        if device in good:
            sent = sent_at[round(int(end_ms) / 1000 - workload.start) - 1]
            found.append((sent, came_at - sent, since_receipt_s))
    return found
