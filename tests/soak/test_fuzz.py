"""Bad payloads."""

from __future__ import annotations

import random

from soak.fuzz import mutated, quantiles
from soak.workload import Workload


def test_the_same_seed_gives_the_same_kinds_of_bad_payloads() -> None:
    good = Workload(1, 1, 1_700_000_000.0, 0).payload(0, 0)
    made = [mutated(random.Random(seed), good) for seed in range(300)]
    assert all(topic.startswith("sensors/") for topic, _ in made)
    assert all(payload != good for _, payload in made)
    assert len({payload for _, payload in made}) > 250
    assert [mutated(random.Random(seed), good)[0] for seed in range(300)] == [topic for topic, _ in made]


def test_quantiles_of_nothing_are_zero() -> None:
    assert quantiles([]) == (0.0, 0.0)
    assert quantiles([float(n) for n in range(100, 0, -1)]) == (51.0, 100.0)
