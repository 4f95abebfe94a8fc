"""The daemon under test, which can be killed, stopped and started again, and what its metrics say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from hard.commands.processes import LOOPBACK, DaemonProcess, free_port

ROOT = Path(__file__).resolve().parents[2]


class SoakDaemon(DaemonProcess):
    """`hard run` against the broker at `port`, with its state in `state`; `code` runs before, in the same process."""

    def __init__(self, folder: Path, port: int, state: Path, settings: Sequence[str] = (), *, code: str = "") -> None:
        self._metrics_port = free_port()  # the same after each start
        own = (
            f"mqtt.port={port}", f"mqtt.host={LOOPBACK}", "mqtt.client_id=chaos", "mqtt.reconnect_max_s=1",
            f"metrics.port={self._metrics_port}", f"state.dir={state}", "publish.health_every_s=5",
        )  # fmt: skip
        super().__init__(folder / "hard.log", (*own, *settings), code=code, cwd=ROOT)

    @property
    def metrics_url(self) -> str:
        return f"http://{LOOPBACK}:{self._metrics_port}/metrics"

    def metrics(self) -> dict[str, float]:
        """Each series by its name and labels; empty while the daemon does not answer."""
        with suppress(OSError, ValueError):
            return super().metrics()
        return {}

    def subscribed(self) -> bool:
        return self.metrics().get("hard_broker_subscribed", 0) == 1


def discrepancies(metrics: Mapping[str, float]) -> list[str]:
    """Which counters don't add up; empty where all do."""
    problems = []
    for name, (entered, entered_before, still_inside) in {
        "messages": ("messages_received_total", "messages_replayed_total", "messages_queued"),
        "samples": ("samples_decoded_total", "samples_restored_total", "samples_held"),
        "windows": ("windows_closed_total", "windows_restored_total", "windows_in_flight"),
    }.items():
        outcomes = sum(value for series, value in metrics.items() if series.startswith(f"hard_{name}_total{{"))
        came = metrics[f"hard_{entered}"] + metrics[f"hard_{entered_before}"]
        accounted = outcomes + metrics[f"hard_{still_inside}"]
        if came != accounted:
            problems.append(f"{name}: {came:g} in, {accounted:g} accounted for")
    return problems
