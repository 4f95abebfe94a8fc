"""Bad payloads by the million, among honest devices: nothing may crash, leak or wait for them."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

from soak.plan import Plan, Publisher, Subscriber, client
from soak.processes import KILL, TERM, Broker, Daemon, unbalanced, until

ROUND = 5000
HONEST = 5
MOST_WAITING = 10_000  # in the broker: more would only measure the queue
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


def fuzz(folder: Path, payloads: int, seed: int) -> int:
    """Prints what was measured; gives an exit code."""
    random_, broker = random.Random(seed), Broker(folder)
    broker.start()
    daemon = Daemon(folder, broker.port, folder / "state", ("ingest.max_devices=1000",))
    bad = client(broker.port, "fuzz")
    plan = Plan(HONEST, 10_000, float(round(time.time())), seed)
    sounds = [plan.payload(0, second) for second in range(50)]
    sent, second, memory, looks = 0, 0, [], []
    try:
        daemon.start()
        until(daemon.subscribed, 60, "the daemon's first subscription")
        bad.loop_start()
        with Publisher(broker.port, plan) as honest, Subscriber(broker.port) as subscriber:
            begun = time.monotonic()
            while sent < payloads:
                for _ in range(ROUND):
                    bad.publish(*mutated(random_, random_.choice(sounds)), qos=1)
                sent += ROUND
                while time.monotonic() - begun > second:
                    honest.send(second)
                    second += 1
                until(lambda n=sent - MOST_WAITING: received(daemon) > n, 120, "the bad ones")
                looks += unbalanced(daemon.metrics())
                if sent >= payloads // 5:
                    memory.append(daemon.memory_bytes())
            until(lambda: received(daemon) >= payloads + HONEST * second, 120, "the last bad ones")
            until(lambda: sum(n > 0 for n in own(subscriber)) >= HONEST * (second - 4), 120, "the honest labels")
            ages = sorted(age for _, age in subscriber.ages)
        metrics = daemon.metrics()
        code = daemon.end(TERM)
    finally:
        bad.disconnect()
        bad.loop_stop()
        daemon.end(KILL)
        broker.end(KILL)
    refused = sum(value for name, value in metrics.items() if name.startswith("hard_rejected_messages_total"))
    print(f"{sent} bad payloads in {time.monotonic() - begun:.0f} s, {refused:.0f} refused; exit code {code}")
    median, p99 = ages[len(ages) // 2], ages[int(0.99 * len(ages))]
    print(f"{len(ages)} labels, of honest devices and of odd but sound payloads, from receipt to label:")
    print(f"{median:.3f} s (median), {p99:.3f} s (99 %)")
    print(
        f"memory: {memory[0] / 1e6:.0f} MB after a fifth, at most {max(memory) / 1e6:.0f} MB; books: {looks or 'sound'}"
    )
    failed = code or looks or max(memory) > MOST_GROWTH * memory[0]
    if failed:
        print("FAILED")
    return int(bool(failed))


def received(daemon: Daemon) -> float:
    return daemon.metrics().get("hard_messages_received_total", 0.0)


def own(subscriber: Subscriber) -> list[int]:
    return [n for window_id, n in list(subscriber.counts.items()) if window_id.startswith("d0")]
