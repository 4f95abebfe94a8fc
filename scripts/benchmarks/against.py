"""Two checkouts → comparisons of what they cost. Each runs as processes of its own, so its modules may be anywhere.

Both run in turns, so that the machine's changes touch both alike. CPU time a message, label or window is judged;
start-up, memory, latencies and numbers of devices depend too much on other work on the machine and are reported only.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from benchmarks import endtoend, machine
from benchmarks.comparison import CostRecord, Measured, differing_files, paired
from benchmarks.endtoend import LoadTrial, Server, hard, python_environment, trial
from benchmarks.generator import Order
from hard.commands.processes import MosquittoProcess
from hard.errors import CommandError, UsageError
from hard.simulator import Wearer

CLASSIFY = Path(__file__).parent / "classify.py"
QUICK_S, FULL_S = 5.0, 15.0  # of a load
FULL_ONLY = {"labels-2000", "bulk", "devices"}
INGEST_HOP_S = 4.0  # windows end to end: a label in 80 samples, so that messages are most of the cost
RECORDING_S, RECORDING_HZ, SUBJECTS = 600, 20.0, 6
BEGIN_DEVICES = 1000  # of the search for the greatest number


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder with a checkout of HARD."""

    path: Path

    def daemon(self, *settings: str) -> Server:
        return hard(*settings, checkout=self.path)

    def python(self, *arguments: str) -> str:
        """Standard output of `python …` with this checkout's `hard`. Raises CommandError where it fails."""
        command = [sys.executable, "-P", *arguments]
        environment = {**os.environ, **python_environment(self.path)}
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandError(f"{self.path}: {' '.join(arguments[:3])} failed: {done.stderr.strip()[-400:]}")
        return done.stdout

    def model_digests(self) -> dict[str, str]:
        """sha256 of the default bundle's weights, graphs and tokenizer by file name, as its manifest says."""
        manifest = json.loads((self.path / "hard" / "bundles" / "default" / "hard.json").read_text(encoding="utf-8"))
        return {name: digest for name, digest in manifest["files"].items() if Path(name).suffix not in (".md", ".png")}


Benchmark = Callable[[Checkout, Path], list[Measured]]


def checkout_at(path: Path) -> Checkout:
    """Raises UsageError where `path` holds no checkout."""
    if not (path / "hard" / "bundles" / "default" / "hard.json").is_file():
        raise UsageError(f"{path} is no checkout of HARD: it has no hard/bundles/default")
    return Checkout(path.resolve())


def choose(names: Sequence[str] | None, *, quick: bool) -> dict[str, Benchmark]:
    """The named benchmarks, or all of the set. Raises UsageError where there is no such name."""
    known = all_benchmarks(QUICK_S if quick else FULL_S)
    for name in names or ():
        if name not in known:
            raise UsageError(f"there is no comparison {name!r}; choose from {', '.join(known)}")
    chosen = names or [name for name in known if not quick or name not in FULL_ONLY]
    return {name: known[name] for name in chosen}


def all_benchmarks(load_s: float, *, devices_share: float = 1.0) -> dict[str, Benchmark]:
    """All by name; each load takes `load_s`, and `devices_share` of the devices in the names."""

    def order(devices: int, samples: int = 20, **others: object) -> Order:
        devices = max(1, round(devices * devices_share))
        load = {"port": 0, "devices": devices, "messages_s": devices * 20.0 / samples, "seconds": load_s}
        return msgspec.convert({**load, "samples": samples, **others}, Order)

    return {
        "json": partial(_ingest, "batched JSON", order(500, hop_s=INGEST_HOP_S)),
        "one-sample": partial(_ingest, "one-sample JSON", order(40, 1, hop_s=INGEST_HOP_S)),
        "csv": partial(_ingest, "batched CSV", order(500, format="csv", hop_s=INGEST_HOP_S)),
        "labels-100": partial(_labels, order(100)),
        "labels-500": partial(_labels, order(500)),
        "labels-2000": partial(_labels, order(2000)),
        "classify": partial(_classify, load_s / 5),
        "bulk": _bulk,
        "startup": _startup,
        "devices": partial(_devices, lambda devices: msgspec.structs.replace(order(devices), seconds=load_s / 3)),
    }


def compare(
    this: Checkout, other: Checkout, chosen: Mapping[str, Benchmark], folder: Path, *,
    turns: int, tolerance: float, say: Callable[[str], None],
) -> CostRecord:  # fmt: skip
    """Runs each benchmark in turns: this checkout, the other one, this one, …; `folder` takes logs and states."""
    begun, about = time.monotonic(), machine.description()
    comparisons = []
    for name, benchmark in chosen.items():
        runs: list[tuple[list[Measured], list[Measured]]] = []
        for turn in range(turns):
            say(f"{name}: turn {turn + 1} of {turns}")
            runs.append((
                benchmark(this, folder / f"{name}-{turn}-this"), benchmark(other, folder / f"{name}-{turn}-other")
            ))  # fmt: skip
        comparisons += [paired(figure) for figure in zip(*(zip(*run, strict=True) for run in runs), strict=True)]
    return CostRecord(
        date=time.strftime("%Y-%m-%d", time.gmtime()), machine=about, minutes=round((time.monotonic() - begun) / 60, 1),
        this=str(this.path), other=str(other.path), tolerance=tolerance,
        bundle_differs_in=differing_files(this.model_digests(), other.model_digests()), comparisons=comparisons,
    )  # fmt: skip


def _ingest(title: str, order: Order, checkout: Checkout, folder: Path) -> list[Measured]:
    server = checkout.daemon(f"ingest.format={order.format}", f"labels.hop_s={order.hop_s:g}")
    found = _trial(server, order, folder)
    name = f"{title}, {order.messages_s:.0f} messages a second"
    return [Measured(name, "CPU ms a message", found.message_ms, True, found.complete)]


def _labels(order: Order, checkout: Checkout, folder: Path) -> list[Measured]:
    found = _trial(checkout.daemon(), order, folder)
    name, complete = f"{order.devices} devices", found.complete
    return [
        Measured(name, "CPU ms a label", found.server_ms, True, complete),
        Measured(name, "p99 s, sent to label", found.p99_s, complete=complete),
        Measured(name, "resident MB", found.rss_mb, complete=complete),
    ]


def _classify(seconds: float, checkout: Checkout, _: Path) -> list[Measured]:
    costs = {batch: float(checkout.python(str(CLASSIFY), str(batch), str(seconds))) for batch in (1, 32)}
    return [Measured(f"classify, batch of {batch}", "CPU ms a window", cost, True) for batch, cost in costs.items()]


def _startup(checkout: Checkout, folder: Path) -> list[Measured]:
    with MosquittoProcess(folder / "broker") as broker, checkout.daemon().process(folder, broker.port) as daemon:
        return [
            Measured("start-up", "s until ready", daemon.wait_for_log("ready")),
            Measured("start-up", "CPU s until ready", daemon.cpu_s()),
            Measured("start-up", "resident MB", daemon.memory_bytes() / 1e6),
        ]


def _bulk(checkout: Checkout, folder: Path) -> list[Measured]:
    """`hard label` of a recording, its start included."""
    recording = folder.parent / "recording.csv"
    if not recording.exists():
        recording.write_text(_recording(), encoding="ascii")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = checkout.python("-m", "hard", "label", str(recording), "--streaming").count("\n")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [Measured(f"hard label, {lines} windows", "CPU ms a window", spent * 1e3 / lines, True)]


def _recording() -> str:
    rows = ["subject,time,x,y,z"]
    for subject in range(SUBJECTS):
        xyz = Wearer((5, subject), RECORDING_HZ).take(round(RECORDING_S * RECORDING_HZ)).xyz
        times = 1_700_000_000.0 + np.arange(len(xyz)) / RECORDING_HZ
        samples = zip(times.tolist(), xyz.tolist(), strict=True)
        rows += [f"s{subject},{t:.2f},{x:.3f},{y:.3f},{z:.3f}" for t, (x, y, z) in samples]
    return "\n".join(rows) + "\n"


def _devices(order: Callable[[int], Order], checkout: Checkout, folder: Path) -> list[Measured]:
    """The greatest number of devices with a label a second each, p99 in time."""
    count = 0

    def run(devices: int) -> LoadTrial:
        nonlocal count
        count += 1
        return _trial(checkout.daemon(), order(devices), folder / str(count))

    best, _ = endtoend.greatest(run, BEGIN_DEVICES, finest=0.25)
    return [Measured("greatest number of devices", "devices", float(best.devices if best else 0))]


def _trial(server: Server, order: Order, folder: Path) -> LoadTrial:
    found = trial(server, folder, order)
    if not found.labels:
        log = (folder / "daemon.log").read_text(encoding="utf-8", errors="replace")
        raise CommandError(f"no label came of {order.devices} devices; the daemon's log ends: {log[-400:]}")
    return found
