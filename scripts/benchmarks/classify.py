"""CPU ms a window of `Classifier.classify`, as a process of its own, so that any checkout can be measured.

    PYTHONPATH=CHECKOUT python -P classify.py BATCH SECONDS

Uses of HARD only what every version has: `hard.model.classifier.load` and the first fields of `hard.records.Window`.
"""

from __future__ import annotations

import sys
import time
from dataclasses import fields
from typing import Any

import numpy as np

from hard.model.classifier import load
from hard.records import Window


def windows(count: int, length: int, rate_hz: float) -> list[Window]:
    """Strides at 1.8 Hz with noise, upright in a pocket: the same for every checkout."""
    rng = np.random.default_rng(0)
    t = np.arange(length) / rate_hz
    stride = np.stack([np.sin(11 * t), 9.8 + 4 * np.sin(11.3 * t), np.cos(11.3 * t)], axis=1)
    up, forward = np.array([0, 1, 0], np.float32), np.array([0, 0, 1], np.float32)
    has_before = any(field.name == "before" for field in fields(Window))
    known: dict[str, Any] = {"before": stride.astype(np.float32)} if has_before else {}
    made: list[Window] = []
    for i in range(count):
        xyz = (stride + rng.normal(0, 0.5, stride.shape)).astype(np.float32)
        made.append(
            Window(
                device=f"d{i}", start=0.0, end=length / rate_hz, xyz=xyz, coverage=1.0, up=up, forward=forward,
                calibrated=False, clock_offset_s=0.0, received_at=0.0, received_wall=0.0, **known,
            )
        )  # fmt: skip
    return made


def main() -> None:
    batch, seconds = int(sys.argv[1]), float(sys.argv[2])
    classifier = load()
    window = classifier.bundle.manifest.window
    some = windows(batch, round(window.length_s * window.rate_hz), window.rate_hz)
    for _ in range(3):
        classifier.classify(some)
    calls, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < seconds:
        classifier.classify(some)
        calls += 1
    print(spent * 1e3 / (calls * batch))


if __name__ == "__main__":
    main()
