"""All parts of a run in their order → one record. Only progress is printed."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import distribution, requires
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from packaging.requirements import Requirement

from benchmarks import endtoend, machine, models, pipeline, scoring
from benchmarks.endtoend import LoadTrial, Server, hard, script, trial
from benchmarks.generator import Order

DURABILITIES = ("none", "journal")
CONSTANT_LABELS_S, DEVICES_AT_CONSTANT_RATE = 500.0, (100, 1000, 10_000)
TARGET = 2000  # devices with a label a second


class Suite:
    """One run. `say` is called with each step; `folder` takes models, logs and states."""

    def __init__(self, folder: Path, *, quick: bool, say: Callable[[str], None]) -> None:
        self._folder, self._quick, self._say = folder, quick, say
        self._load_s, self._trials = 4.0 if quick else 8.0, 0

    def run(self, parts: set[str]) -> dict[str, Any]:
        """The record of the wanted parts: scorer, pipeline, endtoend, startup. Raises HardError."""
        begun = time.monotonic()
        record: dict[str, Any] = {"machine": machine.description(), "quick": self._quick}
        record["date"] = time.strftime("%Y-%m-%d", time.gmtime())
        self._say("making the models")
        subjects = models.subjects(self._folder / "models")
        small = subjects[0].folder
        if "scorer" in parts:
            record["scorer"] = scoring.measure(subjects, self._folder / "models", self._quick, self._say)
        daemons = {kind: hard(f"model.bundle={small}", f"state.durability={kind}") for kind in DURABILITIES}
        if "pipeline" in parts:
            record["pipeline"] = {kind: self._pipeline(daemon, small) for kind, daemon in daemons.items()}
        if "endtoend" in parts:
            record["endtoend"] = {kind: self._endtoend(daemon) for kind, daemon in daemons.items()}
            self._say("end to end: a plain script")
            record["endtoend"]["plain"] = self._greatest(script("plain", small), 16)
        if "startup" in parts:
            record["startup"] = self._startup(small)
        record["minutes"] = round((time.monotonic() - begun) / 60, 1)
        return record

    def _pipeline(self, daemon: Server, small: Path) -> list[dict[str, Any]]:
        """At a quarter of the target and at the target: stages at the daemon's batch size, floor and ratio."""
        rows = []
        for devices in (TARGET // 4, TARGET):
            self._say(f"pipeline: {devices} devices")
            # In turns, since the machine changes during the run.
            pairs = [self._pair(daemon, devices) for _ in range(1 if self._quick else 2)]
            whole, bare = (median(side.server_ms for side in sides) for sides in zip(*pairs, strict=True))
            batch = max(1, round(median(ours.batch for ours, _ in pairs)))
            stages = pipeline.stages(small, batch)
            floor = stages["scorer"] + stages["features"] + bare
            rows.append({
                "devices": devices, "batch": batch, "ratio": round(whole / floor, 2), "daemon_ms": round(whole, 4),
                "floor_ms": round(floor, 4),
                "stages_ms": {name: round(ms, 4) for name, ms in (stages | {"paho": bare}).items()},
            })  # fmt: skip
        return rows

    def _pair(self, daemon: Server, devices: int) -> tuple[LoadTrial, LoadTrial]:
        load = {"devices": devices, "messages_s": float(devices)}
        return self._trial(daemon, **load), self._trial(script("bare"), **load, fill_s=0.0, window_s=1.0)

    def _endtoend(self, daemon: Server) -> dict[str, Any]:
        """Greatest number of devices with messages of a second and of one sample; cost at a constant rate of labels."""
        self._say("end to end: as many devices as it serves in time")
        found = self._greatest(daemon, TARGET)
        self._say("end to end: one sample a message")
        one_sample = self._greatest(daemon, 128, samples=1)
        constant_rate = []
        for devices in DEVICES_AT_CONSTANT_RATE:
            self._say(f"end to end: {CONSTANT_LABELS_S:.0f} labels a second from {devices} devices")
            constant_rate.append(self._trial(daemon, devices=devices, messages_s=CONSTANT_LABELS_S).summary())
        costs = [found["server_ms"] for found in constant_rate]
        return found | {
            "one_sample": one_sample, "constant_rate": constant_rate, "flatness": round(max(costs) / min(costs), 2)
        }  # fmt: skip

    def _startup(self, small: Path) -> dict[str, Any]:
        """Time to `ready`, the median of some starts, and bytes of what a gateway installs."""
        self._say("start-up")
        daemon = hard(f"model.bundle={small}")
        starts = [self._trial(daemon, devices=1, messages_s=1.0, seconds=1.0).ready_s for _ in range(3)]
        sizes = {name: _size(name) for name in sorted(_runtime_packages("hard-daemon"))}
        return {
            "ready_s": round(median(starts), 3), "install_mb": round(sum(sizes.values()) / 1e6, 1),
            "packages": len(sizes), "largest": sorted(sizes, key=sizes.__getitem__)[-3:][::-1],
        }  # fmt: skip

    def _greatest(self, server: Server, begin: int, samples: int = 20) -> dict[str, Any]:
        """The trial with the most devices served in time (None where there is none), and all that were tried."""

        def run(devices: int) -> LoadTrial:
            self._say(f"  {devices} devices")
            return self._trial(server, devices=devices, messages_s=devices * 20.0 / samples, samples=samples)

        best, tried = endtoend.greatest(run, begin, finest=0.5 if self._quick else 0.25)
        return {"greatest": best and best.summary(), "tried": [each.summary() for each in tried]}

    def _trial(self, server: Server, **load: Any) -> LoadTrial:
        self._trials += 1
        order = msgspec.convert({"port": 0, "seconds": self._load_s, **load}, Order)
        return trial(server, self._folder / f"trial-{self._trials}", order)


def _runtime_packages(package: str) -> set[str]:
    """The package and all that it needs, without extras."""
    found, waiting = set(), [package]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for line in requires(name) or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(need.name.lower())
    return found


def _size(package: str) -> int:
    files = distribution(package).files or []
    return sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file())
