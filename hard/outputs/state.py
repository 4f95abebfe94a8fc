"""One device's labels → a smoothed state and the time since which it holds. Pure: no clock, no MQTT."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class State:
    """`since` in device Unix s; `confidence` is the mean over the windows that agree."""

    label: str
    since: float
    confidence: float


class StateSmoother:
    """Majority of the last `n` windows; a tie keeps the state that holds, else takes the newest label."""

    __slots__ = ("_last", "_state")

    def __init__(self, n: int) -> None:
        self._last: deque[tuple[str, float, float]] = deque(maxlen=n)
        self._state: State | None = None

    @property
    def state(self) -> State | None:
        """The state now; None before the first window."""
        return self._state

    def update(self, label: str, confidence: float, start: float) -> State | None:
        """Takes a window's label (UNKNOWN where it was not accepted); gives the state where it changed, else None."""
        self._last.append((label, confidence, start))
        if self._state:  # with half of the windows it is among the winners
            held = self._state.label
            if 2 * sum([name == held for name, _, _ in self._last]) >= len(self._last):
                return None
        counts = Counter(name for name, _, _ in self._last)
        most = max(counts.values())
        winners = {name for name, n in counts.items() if n == most}
        if self._state and self._state.label in winners:
            return None
        winner = next(name for name, _, _ in reversed(self._last) if name in winners)
        agreeing = [(c, s) for name, c, s in self._last if name == winner]
        self._state = State(winner, agreeing[0][1], sum(c for c, _ in agreeing) / len(agreeing))
        return self._state
