"""All parts of a run in their order, each into one record; nothing is printed but progress."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from importlib.metadata import distribution, requires
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from packaging.requirements import Requirement

from benchmarks import endtoend, machine, models, pipeline, scoring
from benchmarks.endtoend import Server, Trial, hard, script, trial
from benchmarks.generator import Order
from hard.settings import SettingsError, load

DEVICES_OF_FLATNESS, LABELS_S = (100, 1000, 10_000), 500.0
TARGET = 2000  # devices with a label a second


class Suite:
    """One run: `seconds` of load a trial; `say` hears what is being done."""

    def __init__(self, folder: Path, *, quick: bool, say: Callable[[str], None]) -> None:
        self._folder, self._quick, self._say = folder, quick, say
        self._seconds, self._count = 4.0 if quick else 8.0, 0

    def all(self, parts: set[str]) -> dict[str, Any]:
        """The record of the wanted parts: scorer, pipeline, endtoend, startup."""
        begun = time.monotonic()
        record: dict[str, Any] = {"machine": machine.told(), "quick": self._quick}
        record["date"] = time.strftime("%Y-%m-%d", time.gmtime())
        self._say("making the models")
        subjects = models.subjects(self._folder / "models")
        small = subjects[0].folder
        if "scorer" in parts:
            record["scorer"] = scoring.measure(subjects, self._folder / "models", self._quick, self._say)
        for kind in self._durabilities() if parts & {"pipeline", "endtoend", "startup"} else ():
            daemon = hard(f"model.bundle={small}", f"state.durability={kind}")
            if "pipeline" in parts:
                record.setdefault("pipeline", {})[kind] = self._pipeline(daemon, small)
            if "endtoend" in parts:
                record.setdefault("endtoend", {})[kind] = self._endtoend(daemon)
        if "endtoend" in parts:
            self._say("end to end: a plain script")
            best, tried = self._greatest(script("plain", small), 16)
            record["endtoend"]["plain"] = {"greatest": _told(best), "tried": [t.told() for t in tried]}
        if "startup" in parts:
            record["startup"] = self._startup(small)
        record["minutes"] = round((time.monotonic() - begun) / 60, 1)
        return record

    def _pipeline(self, daemon: Server, small: Path) -> list[dict[str, Any]]:
        """At half and at all of the target: stages at the batch that the daemon had there, floor, ratio."""
        rows = []
        for devices in (LABELS_S, TARGET):
            self._say(f"pipeline: {devices:.0f} devices")
            # By turns, for the machine changes under way.
            pairs = [self._pair(daemon, int(devices)) for _ in range(1 if self._quick else 2)]
            whole, bare = (median(side.server_ms for side in sides) for sides in zip(*pairs, strict=True))
            batch = max(1, round(median(ours.batch for ours, _ in pairs)))
            stages = pipeline.stages(small, batch)
            floor = stages["scorer"] + stages["features"] + bare
            rows.append({
                "devices": int(devices), "batch": batch, "ratio": round(whole / floor, 2), "daemon_ms": round(whole, 4),
                "floor_ms": round(floor, 4),
                "stages_ms": {n: round(ms, 4) for n, ms in (stages | {"paho": bare}).items()},
            })  # fmt: skip
        return rows

    def _pair(self, daemon: Server, devices: int) -> tuple[Trial, Trial]:
        load = {"devices": devices, "messages_s": float(devices)}
        return self._trial(daemon, **load), self._trial(script("bare"), **load, fill_s=0.0, window_s=1.0)

    def _endtoend(self, daemon: Server) -> dict[str, Any]:
        """Greatest number of devices with messages of a second and of one sample; cost at a constant rate of labels."""
        self._say("end to end: as many devices as it holds")
        best, tried = self._greatest(daemon, TARGET)
        self._say("end to end: one sample a message")
        single, singles = self._greatest(daemon, 128, samples=1)
        flat = []
        for devices in DEVICES_OF_FLATNESS:
            self._say(f"end to end: {LABELS_S:.0f} labels a second from {devices} devices")
            flat.append(self._trial(daemon, devices=devices, messages_s=LABELS_S).told())
        return {
            "greatest": _told(best), "tried": [t.told() for t in tried], "flat": flat,
            "flatness": round(max(f["server_ms"] for f in flat) / min(f["server_ms"] for f in flat), 2),
            "one_sample": {"greatest": _told(single), "tried": [t.told() for t in singles]},
        }  # fmt: skip

    def _startup(self, small: Path) -> dict[str, Any]:
        """Time to `ready`, the median of some starts, and bytes of what a gateway installs."""
        self._say("start-up")
        daemon = hard(f"model.bundle={small}")
        starts = [self._trial(daemon, devices=1, messages_s=1.0, seconds=1.0).ready_s for _ in range(3)]
        sizes = {name: _size(name) for name in sorted(_runtime("hard-daemon"))}
        return {
            "ready_s": round(median(starts), 3), "install_mb": round(sum(sizes.values()) / 1e6, 1),
            "packages": len(sizes), "largest": sorted(sizes, key=sizes.__getitem__)[-3:][::-1],
        }  # fmt: skip

    def _greatest(self, server: Server, begin: int, samples: int = 20) -> tuple[Trial | None, list[Trial]]:
        def run(devices: int) -> Trial:
            self._say(f"  {devices} devices")
            return self._trial(server, devices=devices, messages_s=devices * 20.0 / samples, samples=samples)

        return endtoend.greatest(run, begin, finest=0.5 if self._quick else 0.25)

    def _trial(self, server: Server, **load: Any) -> Trial:
        self._count += 1
        order = msgspec.convert({"port": 0, "seconds": self._seconds, **load}, Order)
        return trial(server, self._folder / f"trial-{self._count}", order)

    def _durabilities(self) -> Iterator[str]:
        """What `state.durability` takes, the journal where there is one."""
        for kind in ("none", "journal"):
            with contextlib.suppress(SettingsError):
                yield load(None, [f"state.durability={kind}"]).state.durability


def _told(best: Trial | None) -> dict[str, Any] | None:
    return None if best is None else best.told()


def _runtime(package: str) -> set[str]:
    """The package and all that it needs, extras left out."""
    found, open_ = set(), [package]
    while open_:
        name = open_.pop()
        if name in found:
            continue
        found.add(name)
        for line in requires(name) or ():
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                open_.append(need.name.lower())
    return found


def _size(package: str) -> int:
    files = distribution(package).files or []
    return sum(path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file())
