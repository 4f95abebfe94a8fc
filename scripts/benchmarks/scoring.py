"""Part 1: windows a second and CPU time a window of each backend, which take turns in each round."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks import machine
from benchmarks.backends import ALL, GENERATE, NOTEBOOK, SCORING, Backend, backends
from benchmarks.models import Subject
from hard.model.tokens import Ids
from hard.records import Float32Array

BATCHES, THREADS = (1, 8, 32, 128), (1, 2)
MIN_S = 0.15  # of a measurement, which is at least one call


def measure(subjects: list[Subject], folder: Path, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row for each model, number of threads, backend and batch."""
    rows = []
    for subject in subjects:
        for threads in THREADS[: 1 if quick else None]:
            say(f"scorer: {subject.name}, {threads} thread{'s' * (threads > 1)}")
            torch.set_num_threads(threads)
            rows += _rows(subject, backends(subject, folder / subject.name, threads), threads, quick)
    torch.set_num_threads(1)
    return rows


def _rows(subject: Subject, compared: dict[str, Backend], threads: int, quick: bool) -> list[dict[str, Any]]:
    batches, rounds = ((1, 32), 2) if quick else (BATCHES, 3)
    some = subject.ids[:32]
    probabilities = {name: backend(some) for name, backend in compared.items() if name != NOTEBOOK}
    exact = probabilities[SCORING]
    greatest_difference = {name: _greatest_difference(found, exact) for name, found in probabilities.items()}
    found: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    peaks = defaultdict(list)
    for _ in range(rounds):
        for precision in ("fp32", "int8"):
            peaks[precision].append(machine.matmul_gflops(precision, threads))
        for batch in batches:
            for name, backend in compared.items():
                if name != NOTEBOOK or batch == 1:
                    found[name, batch].append(_timed(backend, subject.ids[:batch]))
    peak = {precision: median(rates) for precision, rates in peaks.items()}
    rows = []
    for name in ALL:
        for batch in batches:
            if (name, batch) not in found:
                continue
            wall, cpu = (median(times) for times in zip(*found[name, batch], strict=True))
            base = median(t for t, _ in found[GENERATE, batch])
            rows.append({
                "model": subject.name, "threads": threads, "batch": batch, "backend": name,
                "times_generate": round(base / wall, 2), "windows_s": round(1 / wall, 1), "cpu_ms": round(cpu * 1e3, 4),
                "greatest_difference": greatest_difference.get(name),
                "share_of_peak": round(subject.flops / wall / 1e9 / peak["int8" if "int8" in name else "fp32"], 3),
            })  # fmt: skip
    return rows


def _greatest_difference(found: Float32Array | None, exact: Float32Array | None) -> float | None:
    return None if found is None or exact is None else float(np.abs(found - exact).max())


def _timed(backend: Backend, ids: Ids) -> tuple[float, float]:
    """Wall and CPU s a window."""
    calls, begun, cpu = 0, time.perf_counter(), time.process_time()
    while calls == 0 or time.perf_counter() - begun < MIN_S:
        backend(ids)
        calls += 1
    windows = calls * len(ids)
    return (time.perf_counter() - begun) / windows, (time.process_time() - cpu) / windows
