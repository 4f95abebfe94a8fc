"""Bad payloads by the million, among honest devices: nothing may crash, leak or wait for them."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

from soak.processes import KILL, TERM, Broker, Daemon, unbalanced, until
from soak.workload import Publisher, Sender, Subscriber, Workload, client

ROUND = 500
HONEST = 5
ALONE_S = 30
FIRST_WINDOW_S = 4
MOST_WAITING = 1000  # at the broker and in the daemon: more would only measure the queue
MOST_GROWTH = 1.2


def mutated(random_: random.Random, sound: bytes) -> tuple[str, bytes]:
    """A random message, or a sound one mutated: topic and payload."""
    topics = ("sensors/fuzz/accel", f"sensors/f{random_.randrange(300)}/accel", f"sensors/{random_.random()}/accel",
              "sensors/@x/accel", "sensors//accel")  # fmt: skip
    topic, kind = random_.choice(topics), random_.randrange(6)
    if kind == 0:
        return topic, random_.randbytes(random_.randrange(200))
    if kind == 1:
        cut = bytearray(sound)
        for _ in range(random_.randrange(1, 6)):
            cut[random_.randrange(len(cut))] = random_.randrange(256)
        return topic, bytes(cut)
    if kind == 2:
        return topic, sound[: random_.randrange(len(sound))]
    value = random_.choice([None, "x", [], {}, 1e308, -1e308, 1e-300, 2**63, True, [[[]]], 0, 5e9, 1e12, time.time()])
    if kind == 3:
        rate = random_.choice([0, -1, 20, 999, 1e9, "x"])
        return topic, json.dumps({"t0": value, "rate": rate, "xyz": [[1, 2, 3]] * random_.randrange(30)}).encode()
    if kind == 4:
        return topic, json.dumps({"t": value, "x": 1, "y": random_.choice([2, 1e300, "y"]), "z": 3}).encode()
    times = [time.time() + random_.uniform(-1e4, 1e4) for _ in range(random_.randrange(20))]
    return topic, json.dumps({"t": times, "x": times, "y": [0] * len(times), "z": [9.8] * len(times)}).encode()


def fuzz(folder: Path, payloads: int, seed: int, rate: float | None = None) -> int:
    """Prints what was measured; gives an exit code. `rate` is that of the bad payloads a second, at most."""
    broker = Broker(folder)
    broker.start()
    daemon = Daemon(folder, broker.port, folder / "state", ("ingest.max_devices=1000",))
    plan = Workload(HONEST, 100_000, float(round(time.time())), seed)
    try:
        daemon.start()
        until(daemon.subscribed, 60, "the daemon's first subscription")
        with Publisher(broker.port, plan) as honest, Subscriber(broker.port) as subscriber:
            sender = Sender(honest, plan.seconds, time.monotonic())
            sender.start()
            time.sleep(ALONE_S)
            begun = time.monotonic()
            memory, looks = flood(broker, daemon, plan, payloads, rate)
            lasted_s = time.monotonic() - begun
            sender.stop()
            expected = HONEST * (len(sender.sent_at) - FIRST_WINDOW_S + 1)
            until(lambda: sum(n > 0 for n in own(subscriber)) >= expected, 120, "the honest labels")
        metrics = daemon.metrics()
        code = daemon.end(TERM)
    finally:
        daemon.end(KILL)
        broker.end(KILL)
    refused = sum(value for name, value in metrics.items() if name.startswith("hard_rejected_messages_total"))
    print(f"{payloads} bad payloads in {lasted_s:.0f} s, {refused:.0f} refused; exit code {code}")
    print("an honest device's label comes after its last sample was sent, of it since receipt:")
    waits = latencies(plan, sender, subscriber)
    for when, bad in (("alone", False), ("beside the bad ones", True)):
        some = [wait for wait in waits if (wait[0] > begun) == bad]
        (median, p99), (here, here99) = (quantiles([wait[part] for wait in some]) for part in (1, 2))
        print(f"  {when} {median:.3f} s, {here:.3f} s (median), {p99:.3f} s, {here99:.3f} s (99 %), {len(some)} labels")
    print(
        f"memory: {memory[0] / 1e6:.0f} MB after a fifth, at most {max(memory) / 1e6:.0f} MB; "
        f"counters: {looks or 'sound'}"
    )
    failed = code or looks or max(memory) > MOST_GROWTH * memory[0]
    if failed:
        print("FAILED")
    return int(bool(failed))


def flood(
    broker: Broker, daemon: Daemon, plan: Workload, payloads: int, rate: float | None
) -> tuple[list[int], list[str]]:
    """Sends the bad payloads at `rate`, or as fast as they are taken; gives its memory, and what didn't balance."""
    random_, sent, memory, looks = random.Random(plan.seed), 0, [], []
    sounds = [plan.payload(0, second) for second in range(50)]
    bad = client(broker.port, "fuzz")
    bad.loop_start()
    taken_before, begun = received(daemon), time.monotonic()
    try:
        while sent < payloads:
            for done in range(ROUND):
                if rate:
                    time.sleep(max(0.0, begun + (sent + done) / rate - time.monotonic()))
                bad.publish(*mutated(random_, random_.choice(sounds)), qos=1)
            sent += ROUND
            until(lambda n=sent - MOST_WAITING: received(daemon) - taken_before > n, 120, "the bad ones")
            looks += unbalanced(daemon.metrics())
            if sent >= payloads // 5:
                memory.append(daemon.memory_bytes())
        until(lambda: received(daemon) - taken_before >= payloads, 120, "the last bad ones")
    finally:
        bad.disconnect()
        bad.loop_stop()
    return memory, looks


def received(daemon: Daemon) -> float:
    return daemon.metrics().get("hard_messages_received_total", 0.0)


def own(subscriber: Subscriber) -> list[int]:
    return [n for window_id, n in list(subscriber.counts.items()) if window_id.startswith("d0")]


def latencies(plan: Workload, sender: Sender, subscriber: Subscriber) -> list[tuple[float, float, float]]:
    """Of each honest window: when its last sample was sent (monotonic), how long after that its label came, and how
    much of that was since receipt."""
    found, honest = [], set(plan.names()[:HONEST])
    for window_id, (came_at, here_s) in subscriber.came_at.items():
        device, _, end_ms = window_id.partition(":")
        if device in honest:
            sent_at = sender.sent_at[round(int(end_ms) / 1000 - plan.start) - 1]
            found.append((sent_at, came_at - sent_at, here_s))
    return found


def quantiles(values: list[float]) -> tuple[float, float]:
    """Median, 99 %; 0 where there is nothing."""
    ordered = sorted(values) or [0.0]
    return ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))]
