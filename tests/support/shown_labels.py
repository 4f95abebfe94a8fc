"""Labels as commands read and show them."""

from __future__ import annotations

from hard.commands.live import ShownLabel, ShownLatency

ACTIVITY = {
    "device": "w-1", "label": "Walking", "confidence": 0.9, "accepted": True, "start": 1.0, "end": 5.0,
    "window_id": "w-1:5000", "latency_s": {"queue": 0.001, "infer": 0.001, "total": 0.0123}, "model": "m",
}  # fmt: skip


def shown_label(
    device: str, label: str = "Walking", start: float = 0, end: float = 4, total_s: float = 0.01
) -> ShownLabel:
    return ShownLabel(device, label, 0.9, True, start, end, f"{device}:{round(end * 1000)}", ShownLatency(total_s))
