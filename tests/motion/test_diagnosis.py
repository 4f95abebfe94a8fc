"""Diagnoses: when a problem appears and goes, what ends by itself, what a restart or a backlog may not raise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from conftest import SHARED_DATA
from support.senders import ARRIVAL, DEVICE_TIME, RULES, stream

from hard.commands.replay import schedule
from hard.motion.diagnosis import Diagnoses
from hard.recordings.recordings import read
from hard.records import Samples
from hard.units import G_MS2

APPEARS_S, GOES_S = 30.0, 60.0


class Watched:
    """Diagnoses with what they said each second."""

    def __init__(self, max_devices: int = 100) -> None:
        self.diagnoses = Diagnoses(RULES, max_devices)
        self.kinds: dict[str, tuple[str, ...]] = {}
        self.now = ARRIVAL

    def hear(self, messages: Iterable[Samples], topic: str = "sensors/a/accel", late: int = 0) -> Watched:
        for message in messages:
            self.now = max(self.now, message.received_at)
            self.diagnoses.heard(message, topic, late)
            self.tick()
        return self

    def tick(self, now: float | None = None) -> None:
        self.now = self.now if now is None else now
        for diagnosis in self.diagnoses.tick(self.now):
            self.kinds[diagnosis.device] = tuple(problem.kind for problem in diagnosis.problems)

    def wait(self, seconds: float) -> Watched:
        for _ in range(round(seconds)):
            self.tick(self.now + 1)
        return self


def times_of(watched: Watched, messages: Iterable[Samples]) -> Iterator[tuple[float, tuple[str, ...]]]:
    for message in messages:
        watched.hear([message])
        yield message.received_at, watched.diagnoses.kinds("a")


@pytest.mark.parametrize("per_message", [1, 50, 500])
@pytest.mark.parametrize("begin_s", [60.0, 67.0])
def test_a_problem_appears_within_30_s_and_goes_within_60_s(per_message: int, begin_s: float) -> None:
    watched = Watched().hear(stream(seconds=begin_s, per_message=per_message))
    assert watched.kinds == {"a": ()}, "all is well is said once"
    bad = stream(seconds=60, begin_s=begin_s, per_message=per_message, scale=1 / G_MS2)
    appeared = next(at for at, kinds in times_of(watched, bad) if kinds == ("unit",))
    assert appeared <= ARRIVAL + begin_s + APPEARS_S
    assert watched.hear([]).kinds == {"a": ("unit",)}
    good = stream(seconds=70, begin_s=begin_s + 60, per_message=per_message)
    gone = next(at for at, kinds in times_of(watched, good) if kinds == ())
    assert gone <= ARRIVAL + begin_s + 60 + GOES_S
    assert watched.kinds == {"a": ()}


def test_the_first_message_of_a_long_batch_is_enough() -> None:
    assert Watched().hear(stream(seconds=60, per_message=3000, scale=1 / G_MS2)).kinds == {"a": ("unit",)}


def test_a_problem_keeps_its_beginning_and_its_value_follows() -> None:
    diagnoses = Diagnoses(RULES, 10)
    for message in stream(seconds=60, rate_hz=10.0, per_message=10):
        diagnoses.heard(message, "t", 0)
    (first,) = diagnoses.tick(ARRIVAL + 60)[0].problems
    for message in stream(seconds=60, rate_hz=5.0, per_message=5, begin_s=60):
        diagnoses.heard(message, "t", 0)
    assert diagnoses.tick(ARRIVAL + 120) == [], "the same kind is no change"
    diagnoses.refused("a", "malformed", ARRIVAL + 121)
    for _ in range(60):
        diagnoses.refused("a", "malformed", ARRIVAL + 121)
    (diagnosis,) = diagnoses.tick(ARRIVAL + 121)
    slow = diagnosis.problems[0]
    assert (slow.kind, slow.since, slow.value) == ("slow", first.since, pytest.approx(5.0))
    assert first.value == pytest.approx(10.0)
    assert [problem.kind for problem in diagnosis.problems] == ["slow", "malformed"]


@pytest.mark.parametrize("per_message", [1, 25, 50, 100])
@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("ahead_s", [0.0, 0.3, 0.5, 30.0])
def test_two_senders_under_one_name_are_found_however_their_messages_fall(
    per_message: int, *, timed: bool, ahead_s: float
) -> None:
    one = stream(seconds=40, per_message=per_message, timed=timed)
    other = [
        replace(
            m, time=None if m.time is None else m.time + ahead_s, received_at=m.received_at + 0.4 * per_message / 50
        )
        for m in stream(seconds=40, per_message=per_message, timed=timed, seed=3, turned=1)
    ]
    both = sorted([*one, *other], key=lambda message: message.received_at)
    appeared = next(at for at, kinds in times_of(Watched(), both) if kinds == ("two_senders",))
    assert appeared <= ARRIVAL + APPEARS_S


def test_topics_in_turn_are_two_senders() -> None:
    watched = Watched()
    for second, message in enumerate(stream(seconds=40)):
        watched.hear([message], topic=f"site/{'north' if second % 2 else 'south'}/a/accel")
    assert watched.kinds == {"a": ("two_senders",)}
    assert Watched().hear(stream(seconds=20), "x").hear(stream(seconds=40, begin_s=20), "y").kinds == {"a": ()}


def test_samples_that_come_late_again_and_again() -> None:
    assert Watched().hear(stream(seconds=30), late=25).kinds == {"a": ("late",)}
    assert Watched().hear(stream(seconds=30), late=5).kinds == {"a": ()}


def test_refused_messages_are_a_problem_at_once_where_they_are_many() -> None:
    watched = Watched()
    watched.diagnoses.refused("b", "time_unit", ARRIVAL, detail="no time", setting="ingest.time_unit=ms")
    watched.tick()
    assert watched.kinds == {"b": ("time_unit",)}
    watched.hear(stream(seconds=10))
    watched.diagnoses.refused("a", "malformed", watched.now)
    watched.tick()
    assert watched.diagnoses.kinds("a") == (), "one in ten"
    for _ in range(5):
        watched.diagnoses.refused("a", "malformed", watched.now)
    watched.tick()
    assert watched.kinds["a"] == ("malformed",)
    watched.hear(stream(seconds=GOES_S, begin_s=10))
    assert watched.kinds == {"a": (), "b": ()}


def test_a_device_that_sends_bad_batches_now_and_then_keeps_its_problem() -> None:
    watched = Watched()
    for minute in range(5):
        watched.diagnoses.refused("a", "malformed", ARRIVAL + 60 * minute)
        watched.wait(60)
        assert minute == 0 or watched.kinds == {"a": ("malformed",)}
    watched.wait(180)
    assert watched.kinds == {"a": ()}


def test_a_retained_message_is_told_for_a_while() -> None:
    watched = Watched()
    watched.diagnoses.retained("a", ARRIVAL)
    watched.tick()
    assert watched.kinds == {"a": ("retained",)}
    assert watched.wait(GOES_S).kinds == {"a": ()}


def test_a_device_that_falls_silent_has_no_problem_any_more() -> None:
    watched = Watched().hear(stream(seconds=40, scale=1 / G_MS2))
    assert watched.kinds == {"a": ("unit",)}
    assert watched.wait(GOES_S).kinds == {"a": ()}


@pytest.mark.parametrize("timed", [True, False])
def test_a_backlog_at_full_speed_raises_nothing(*, timed: bool) -> None:
    messages = stream(seconds=3600, timed=timed)
    backlog = [replace(m, received_at=ARRIVAL + i / 2000) for i, m in enumerate(messages)]
    watched = Watched().hear(backlog)
    watched.hear(stream(seconds=120, begin_s=3700, timed=timed))
    assert watched.kinds == {"a": ()}


def test_a_clock_an_hour_late_raises_nothing() -> None:
    late = [replace(m, time=m.time - 3600.0) for m in stream(seconds=60) if m.time is not None]
    assert Watched().hear(late).kinds == {"a": ()}


def test_a_flood_of_names_that_send_nothing_useful_evicts_no_device_that_was_heard() -> None:
    watched = Watched(max_devices=10).hear(stream(seconds=40, scale=1 / G_MS2))
    for name in range(100):
        watched.diagnoses.refused(f"n{name}", "malformed", watched.now)
    watched.tick()
    assert watched.diagnoses.kinds("a") == ("unit",)
    assert sum(bool(watched.diagnoses.kinds(f"n{name}")) for name in range(100)) == 9
    assert all(kinds == () for name, kinds in watched.kinds.items() if not watched.diagnoses.kinds(name))


def test_a_forgotten_device_is_gone() -> None:
    watched = Watched().hear(stream(seconds=40, scale=1 / G_MS2))
    watched.diagnoses.forget("a")
    assert watched.diagnoses.kinds("a") == ()
    watched.wait(100)
    assert watched.kinds == {"a": ("unit",)}, "nothing more is said"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("places/dsads.parquet", ()), ("places/oxfordstep.parquet", ()), ("places/selfback_wrist.parquet", ()),
        ("places/spsw.parquet", ()), ("places/wisdm51_watch.parquet", ("clipped",)),
        ("motionsense/motionsense_50hz_raw.txt.xz", ()),
    ],
)  # fmt: skip
def test_real_recordings_raise_nothing_but_on_the_watch_that_clips(name: str, allowed: tuple[str, ...]) -> None:
    file = SHARED_DATA / name
    if not file.exists():
        pytest.skip(f"no recordings at ../shared ({file.name})")
    unit = "mm/s2" if "places" in name else "m/s2"
    watched, seen = Watched(1000), dict[str, set[str]]()
    for message in schedule(read(file, unit=unit)[0], DEVICE_TIME):
        at = ARRIVAL + message.due_s
        rate = message.rate_hz if len(message.time) > 1 else None
        watched.hear([Samples(message.device, message.time, message.xyz, at, DEVICE_TIME + message.due_s, rate)])
        for kind in watched.diagnoses.kinds(message.device):
            seen.setdefault(kind, set()).add(message.device)
    assert set(seen) == set(allowed), seen
    if allowed:
        assert len(seen["clipped"]) >= 20, "of 28 watches"
