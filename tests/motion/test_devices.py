"""All devices: separate clocks and windows, order within `reorder_s`, bounds, events, and the counters over all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.motion import make_devices, make_grid

from hard.motion.devices import Devices
from hard.motion.mounting import Frame
from hard.motion.windows import Grid
from hard.records import CounterDelta, Float64Array, Samples, Window

NOW = 1_700_000_000.0
UP = np.array([0, 1, 0], dtype=np.float32)
FRAME = Frame(UP, np.array([0, 0, 1], dtype=np.float32), calibrated=False)
GRID = make_grid(4.0, 20.0)


def devices(grid: Grid = GRID, **rules: float) -> Devices:
    return make_devices(grid, FRAME, **rules)


def message(time: Float64Array, device: str = "d", at: float | None = None) -> Samples:
    """A slow movement at device `time`, received at gateway time `at` (s after NOW)."""
    at = float(time[-1]) - NOW if at is None else at
    return Samples(device, time, wave(time), received_at=at, received_wall=NOW + at)


def wave(time: Float64Array) -> Float64Array:
    t = time % 1000
    return np.column_stack((np.sin(t), 9.81 + np.cos(t), 0.01 * t))


def second(i: float, rate: float = 20.0) -> Float64Array:
    """Device times of one second, `i` s after NOW."""
    return NOW + i + np.arange(round(rate)) / rate


class Feeder:
    """Pushes messages and checks after each that every sample is accounted for."""

    def __init__(self, devices: Devices) -> None:
        self.devices, self.delta, self.windows = devices, CounterDelta(), list[Window]()

    def push(self, *messages: Samples) -> list[Window]:
        first = len(self.windows)
        for samples in messages:
            windows, delta = self.devices.push(samples)
            assert delta.decoded == len(samples.xyz)
            assert len(windows) == delta.windows_closed - delta.windows_low_coverage
            self.windows += windows
            self.delta += delta
            self.check()
        return self.windows[first:]

    def check(self) -> None:
        t = self.delta
        assert t.decoded + t.restored == t.accepted + t.late + t.duplicate + t.out_of_range + t.held
        assert min(getattr(t, name) for name in CounterDelta.__slots__) >= 0
        assert t.used + t.unused <= t.accepted

    def close(self) -> CounterDelta:
        self.delta += self.devices.close()
        self.check()
        assert self.delta.held == 0
        assert self.delta.accepted == self.delta.used + self.delta.unused
        return self.delta


def assert_same(some: list[Window], others: list[Window]) -> None:
    assert [w.window_id for w in some] == [w.window_id for w in others]
    for a, b in zip(some, others, strict=True):
        assert a.coverage == b.coverage
        np.testing.assert_allclose(a.xyz, b.xyz, atol=1e-4)


def test_a_window_has_the_facts_of_its_device_and_its_last_message() -> None:
    feeder = Feeder(devices())
    feeder.push(*(message(second(i) + 5, at=i) for i in range(3)))
    (window,) = feeder.push(message(second(3) + 5, at=3.0))
    assert (window.device, window.start, window.end) == ("d", NOW + 5, NOW + 9)
    assert window.window_id == f"d:{round((NOW + 9) * 1000)}"
    assert (window.received_at, window.received_wall) == (3.0, NOW + 3.0)
    assert window.clock_offset_s == pytest.approx(5.95)
    assert (window.calibrated, window.degraded, window.replayed) == (False, False, False)
    np.testing.assert_array_equal(window.up, UP)


def test_a_window_s_place_is_that_of_its_device_when_it_closed() -> None:
    feeder = Feeder(devices())
    feeder.push(*(replace(message(second(i), at=i), place="wrist") for i in range(3)))
    assert [w.place for w in feeder.push(replace(message(second(3), at=3.0), place="waist"))] == ["waist"]
    assert [w.place for w in feeder.push(message(second(4), at=4.0))] == [None]


@given(
    order=st.permutations(range(60)),
    sizes=st.lists(st.integers(1, 9), min_size=60, max_size=60),
    reorder_s=st.sampled_from([0.5, 2.0]),
    rate=st.sampled_from([20.0, 100 / 3, 50.0]),
)
def test_windows_do_not_depend_on_the_order_within_reorder_s(
    order: list[int], sizes: list[int], reorder_s: float, rate: float
) -> None:
    time = NOW + np.arange(sum(sizes)) / rate
    parts = np.split(time, np.cumsum(sizes)[:-1])
    # Each message is delayed by less than reorder_s, so none is overtaken by more.
    delays = np.array(order) / 60 * reorder_s * 0.99
    arrival = np.argsort([part[-1] + delay for part, delay in zip(parts, delays, strict=True)], kind="stable")
    spread = max(part[-1] - part[0] for part in parts)
    shuffled = Feeder(devices(reorder_s=reorder_s + spread))
    shuffled.push(*(message(parts[i]) for i in arrival))
    sorted_ = Feeder(devices())
    sorted_.push(*(message(part) for part in parts))
    assert_same(shuffled.windows, sorted_.windows[: len(shuffled.windows)])
    assert len(sorted_.windows) - len(shuffled.windows) <= np.ceil(reorder_s + spread) + 1
    assert shuffled.close().accepted == len(time)
    assert shuffled.delta.late == shuffled.delta.duplicate == 0


def test_an_impossible_time_does_not_end_the_reordering_of_others() -> None:
    feeder, order = Feeder(devices(reorder_s=1.5)), [0, 1, 2, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 13]
    for i in order:
        feeder.push(message(second(i)))
        if i == 2:
            feeder.push(message(np.array([NOW + 1e9])))
    assert [w.end - NOW for w in feeder.windows] == [4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert all(w.coverage == 1 for w in feeder.windows)
    assert (feeder.delta.held, feeder.delta.late) == (31, 0)
    feeder.close()


def test_times_out_of_order_within_a_message_are_sorted() -> None:
    shuffled, ordered = Feeder(devices()), Feeder(devices())
    rng = np.random.default_rng(0)
    for i in range(6):
        ordered.push(message(second(i)))
        shuffled.push(message(rng.permutation(second(i)), at=i + 0.95))
    assert_same(shuffled.windows, ordered.windows)
    assert len(ordered.windows) == 3


def test_held_samples_are_released_by_a_silence_and_by_the_end() -> None:
    feeder = Feeder(devices(reorder_s=2.0))
    assert not feeder.push(*(message(second(i)) for i in range(5)))
    assert feeder.delta.held == 40  # a sample exactly reorder_s old is released
    (window, *_) = feeder.push(message(second(60)))
    assert window.end == NOW + 4
    assert feeder.delta.held == 20
    feeder.close()


def test_held_samples_are_released_when_no_message_follows() -> None:
    """A window doesn't wait for the next message of a device that has gone quiet."""
    feeder = Feeder(devices(reorder_s=2.0))
    for second in range(5):
        feeder.push(message(NOW + second + np.arange(20) / 20))
    assert len(feeder.windows) == 0 or feeder.windows[-1].end < NOW + 5
    fleet = feeder.devices
    assert fleet.release(6.0, NOW + 6.0) == ([], CounterDelta(), [])
    windows, delta, names = fleet.release(7.5, NOW + 7.5)
    assert [w.start - NOW for w in windows] == [0.0, 1.0]
    assert (names, delta.held, windows[-1].received_at) == (["d"], -40, pytest.approx(4.95))
    assert fleet.release(9.0, NOW + 9.0) == ([], CounterDelta(), [])
    total = feeder.delta + delta
    assert (total.held, total.decoded, total.accepted) == (0, 100, 100)


@pytest.mark.parametrize("heard_again", [True, False])
def test_restored_held_samples_are_released_where_nothing_is_held_any_more(heard_again: bool) -> None:
    before = Feeder(devices(reorder_s=5.0))
    before.push(*(message(second(i), at=float(i)) for i in range(8)))
    assert before.delta.held == 100
    after = Feeder(devices())
    after.delta += after.devices.restore(before.devices.states(), 0.0, whole=True)
    if heard_again:
        after.push(message(second(8), at=8.0))
    else:
        windows, delta, names = after.devices.release(8.0, NOW + 8)
        after.windows += windows
        after.delta += delta
        assert names == ["d"]
    expected = Feeder(devices())
    expected.push(*(message(second(i), at=float(i)) for i in range(8 + heard_again)))
    assert_same(after.windows, expected.windows)
    assert after.delta.held == 0
    assert after.close().late == 0


def test_held_samples_are_bounded() -> None:
    grid = make_grid(4.0, 20.0, max_rate_hz=50.0)
    feeder = Feeder(devices(grid, reorder_s=600.0))
    feeder.push(*(message(second(i, 50.0)) for i in range(60)))
    assert feeder.delta.held <= grid.max_samples
    assert len(feeder.windows) > 50
    feeder.close()


def test_impossible_values_are_out_of_range_and_change_no_other_sample() -> None:
    feeder = Feeder(devices())
    for i in range(5):
        samples = message(second(i))
        samples.xyz[[3, 7, 11], [0, 1, 2]] = np.nan, 1e9, -np.inf
        feeder.push(samples)
    assert feeder.delta.out_of_range == 15
    assert len(feeder.windows) == 2
    assert all(np.isfinite(w.xyz).all() for w in feeder.windows)
    feeder.close()


def test_a_message_without_possible_samples_gives_no_window() -> None:
    feeder = Feeder(devices())
    assert not feeder.push(replace(message(second(0)), xyz=np.full((20, 3), np.inf)))
    assert not feeder.push(Samples("d", np.empty(0), np.empty((0, 3)), 1.0, NOW))
    assert not feeder.push(Samples("d", None, np.empty((0, 3)), 1.0, NOW))
    assert feeder.close().out_of_range == 20


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from([0.0, 0.3, 1.0, -2.0, 5.0, -86_400.0, 1e9]),  # error of the device's clock
            st.sampled_from([1, 7, 20, 90]),
            st.floats(0, 3),
        ),
        max_size=30,
    ),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([make_grid(4.0, 20.0), make_grid(1.0, 20.0, hop_s=2.5)]),
)
def test_no_sample_is_lost_or_counted_twice_for_any_messages(
    steps: list[tuple[str, float, int, float]], reorder_s: float, grid: Grid
) -> None:
    feeder, at = Feeder(devices(grid, reorder_s=reorder_s, max_devices=2)), 0.0
    for name, off_s, n, later_s in steps:
        at += later_s
        feeder.push(message(NOW + at + off_s + np.arange(n) / 20, name, at))
    assert feeder.close().decoded == sum(n for _, _, n, _ in steps)
    assert all(np.isfinite(w.xyz).all() for w in feeder.windows)


def test_a_wrong_clock_affects_no_other_device() -> None:
    alone, beside = Feeder(devices()), Feeder(devices())
    for i in range(10):
        alone.push(message(second(i), "honest"))
        beside.push(message(second(i), "honest"))
        beside.push(message(second(i) + 86_400, "ahead", at=i + 1), message(second(i) - 86_400, "behind", at=i + 1))
        beside.push(message(np.array([NOW + 3e9 * (i % 2)]), "wild", at=i + 1))
    assert_same([w for w in beside.windows if w.device == "honest"], alone.windows)
    for name in ("ahead", "behind"):
        assert len([w for w in beside.windows if w.device == name]) == 7


@pytest.mark.parametrize("back_s", [20.0, 3600.0, 86_400.0])
@pytest.mark.parametrize("reorder_s", [0.0, 0.5])
def test_a_clock_set_back_costs_two_seconds_and_a_new_grid(back_s: float, reorder_s: float) -> None:
    feeder = Feeder(devices(reorder_s=reorder_s))
    feeder.push(*(message(second(i), at=i + 1) for i in range(10)))
    feeder.push(*(message(second(i) - back_s, at=i + 1) for i in range(10, 20)))
    assert feeder.delta.jumps == 1
    # Two messages, without what is still held; the third has kept pace for two seconds.
    assert feeder.delta.late == (30 if reorder_s else 40)
    ends = [w.end - NOW + back_s for w in feeder.windows if w.end <= NOW]
    assert ends == [16, 17, 18, 19] + [20] * (not reorder_s)  # the new run began at 12
    assert feeder.windows[-1].clock_offset_s == pytest.approx(-0.05 - back_s)
    feeder.close()


def uptime(seconds: float, boot: float, delay_s: float = 0.0) -> Samples:
    """A second that ends at an uptime of `seconds`; the device was booted `boot` s after NOW."""
    time = seconds - np.arange(20)[::-1] / 20
    at = boot + seconds + delay_s
    return Samples("d", time, wave(time), received_at=at, received_wall=NOW + at, uptime=True)


def test_uptimes_are_mapped_to_arrival() -> None:
    feeder = Feeder(devices())
    feeder.push(*(uptime(i + 1, boot=50, delay_s=0.3 * (i % 3 == 0)) for i in range(20)))
    assert (feeder.delta.runs, feeder.delta.jumps, feeder.delta.late, feeder.delta.duplicate) == (1, 0, 0, 0)
    assert len(feeder.windows) == 16  # the first message was late by 0.3 s, and the others come up by as much
    assert feeder.windows[-1].end == pytest.approx(NOW + 70, abs=1.0)  # on a grid that began at 50.35
    assert abs(feeder.windows[-1].clock_offset_s) < 0.2


@pytest.mark.parametrize("away_s", [0.5, 3.0, 600.0])
def test_a_reboot_begins_a_new_run(away_s: float) -> None:
    feeder = Feeder(devices())
    feeder.push(*(uptime(i + 1, boot=0) for i in range(60)))
    feeder.push(*(uptime(i + 1, boot=60 + away_s) for i in range(10)))
    assert (feeder.delta.runs, feeder.delta.jumps, feeder.delta.late) == (2, 1, 0)
    assert feeder.windows[-1].end == pytest.approx(NOW + 70 + away_s, abs=0.06)
    assert len(feeder.windows) == 57 + 7
    feeder.close()


def test_a_small_fall_of_uptimes_that_stays_is_a_reboot_too() -> None:
    feeder = Feeder(devices())
    feeder.push(*(uptime(i + 1, boot=0) for i in range(20)))
    feeder.push(*(uptime(i + 12, boot=12) for i in range(15)))  # it was away for 3 s, and counts from 11 again
    assert feeder.delta.jumps == 1
    assert feeder.windows[-1].end == pytest.approx(NOW + 12 + 26, abs=0.06)


@pytest.mark.parametrize("ahead_s", [0.0, 3600.0, -3600.0])
def test_whole_second_times_of_single_samples_are_spread_over_the_second(ahead_s: float) -> None:
    feeder = Feeder(devices())
    for i in range(50 * 12):
        taken = NOW + i / 50
        time = np.array([np.floor(taken) + ahead_s])
        at = i / 50 + 0.01
        feeder.push(Samples("d", time, wave(np.array([taken])), received_at=at, received_wall=NOW + at))
    assert len(feeder.windows) >= 6 - 2 * (ahead_s > 0)
    assert feeder.delta.duplicate < 10
    last = feeder.windows[-1]
    assert last.coverage == 1.0
    times = last.start + np.arange(len(last.xyz)) / 20
    np.testing.assert_allclose(last.xyz, wave(times), atol=0.15)


def test_a_second_in_one_message_whose_samples_share_a_time_is_spread() -> None:
    feeder = Feeder(devices())
    for i in range(10):
        taken = second(i, 50.0)
        at = i + 1.0
        feeder.push(Samples("d", np.floor(taken), wave(taken), received_at=at, received_wall=NOW + at, rate_hz=50.0))
    assert (len(feeder.windows), feeder.delta.duplicate) == (7, 0)


def test_devices_that_send_once_a_second_or_a_packet_twice_keep_their_times() -> None:
    feeder = Feeder(devices())
    for i in range(10):
        for _ in range(3):
            feeder.push(message(NOW + i + np.array([0.0]), at=i + 0.3))
    assert feeder.delta.duplicate == 20
    feeder = Feeder(devices())
    for i in range(100):
        feeder.push(*[message(np.array([NOW + i / 20]), at=i / 20)] * (2 if i % 20 == 0 else 1))
    assert (feeder.delta.duplicate, feeder.delta.accepted) == (5, 100)


def test_a_burst_of_old_packets_is_late_and_not_a_clock_set_back() -> None:
    feeder = Feeder(devices())
    for i in range(20):
        feeder.push(message(second(i), at=i + 1))
        if i == 15:
            feeder.push(*(message(second(k), at=16 + k / 100) for k in range(10)))
    assert feeder.delta.jumps == 0
    assert feeder.delta.runs == 1
    assert feeder.delta.late == 200
    assert len(feeder.windows) == 17


def test_a_recording_that_is_replayed_again_is_labelled_again() -> None:
    feeder = Feeder(devices())
    for again in range(3):
        feeder.push(*(message(second(i), at=100.0 * again + i / 50) for i in range(100)))
    assert feeder.delta.jumps == 2
    assert feeder.delta.late == 0
    assert len(feeder.windows) == 3 * 97


def test_old_packets_after_a_pause_are_late_unless_they_are_a_minute_old() -> None:
    feeder = Feeder(devices())
    feeder.push(*(message(second(i), at=float(i)) for i in range(100)))
    feeder.push(message(second(50), at=105.0))
    assert (feeder.delta.jumps, feeder.delta.late) == (0, 20)
    feeder.push(message(second(20), at=110.0))
    assert (feeder.delta.jumps, feeder.delta.late) == (1, 20)


def test_a_late_repetition_of_every_message_is_not_a_clock_set_back() -> None:
    feeder = Feeder(devices())
    for i in range(30):
        feeder.push(message(second(i), at=float(i)))
        if i >= 10:
            feeder.push(message(second(i - 10), at=i + 0.5))
    assert (feeder.delta.jumps, feeder.delta.runs, feeder.delta.late) == (0, 1, 400)
    assert len(feeder.windows) == 27


def test_a_clock_set_ahead_starts_a_new_grid_at_once() -> None:
    feeder = Feeder(devices())
    feeder.push(*(message(second(i), at=i + 1) for i in range(5)))
    feeder.push(*(message(second(i) + 86_400, at=i + 1) for i in range(5, 9)))
    assert feeder.delta.runs == 2
    assert [w.end - NOW for w in feeder.windows] == [4, 5, 86_409]
    assert feeder.windows[-1].clock_offset_s == pytest.approx(86_399.95)


def test_a_drifting_clock_loses_no_sample() -> None:
    feeder = Feeder(devices())
    for i in range(300):
        feeder.push(message(NOW + (second(i) - NOW) * 1.0002, at=i + 1))
    assert len(feeder.windows) == 297
    assert (feeder.delta.runs, feeder.delta.late) == (1, 0)


@pytest.mark.parametrize("n", [1, 20, 60])
@pytest.mark.parametrize("rate", [19.0, 20.0, 21.0])
def test_a_device_without_time_gets_its_windows(n: int, rate: float) -> None:
    feeder, rng = Feeder(devices()), np.random.default_rng(0)
    for i in range(int(100 * rate / n)):
        at = (i + 1) * n / rate + rng.uniform(0, 0.03)
        feeder.push(Samples("d", None, np.ones((n, 3)), at, NOW + at))
    assert abs(len(feeder.windows) - 96) <= 2
    assert (feeder.delta.runs, feeder.delta.late, feeder.delta.duplicate) == (1, 0, 0)
    assert all(w.coverage == 1 for w in feeder.windows)


@pytest.mark.parametrize(("stall_s", "burst"), [(10, 10), (10, 1), (3, 3), (10, 25), (300, 40)])
def test_a_stall_of_a_device_without_a_clock_lies_in_no_window(stall_s: int, burst: int) -> None:
    """Samples are numbered: in a window that holds no stall their numbers rise evenly."""
    devices = make_devices(make_grid(), FRAME)
    arrivals = [*range(20), *[19 + stall_s] * burst, *range(20 + stall_s, 60 + stall_s)]
    windows: list[Window] = []
    decoded = CounterDelta()
    for second, at in enumerate(arrivals):
        number = (second * 50 + np.arange(50) + (0 if second < 20 or burst == stall_s else 500.0)) / 1000
        samples = Samples("a", None, np.stack([number, number, number], axis=1), 1000.0 + at, 1e9 + at, 50.0)
        closed, delta = devices.push(samples)
        windows += closed
        decoded += delta
    assert len(windows) > 40
    for window in windows:
        steps = np.diff(window.xyz[:, 0]) * 1000
        assert steps.min() > 1.5
        assert steps.max() < 3.5
    assert decoded.decoded == decoded.accepted + decoded.duplicate


def test_a_device_that_sends_a_batch_a_minute_is_not_silent_between_batches() -> None:
    devices = make_devices(make_grid(), FRAME)
    kinds = []
    for minute in range(5):
        time = 1e9 + 60 * minute + np.arange(3000) / 50
        at = 60 * (minute + 1) + 3.0 * (minute % 2)
        devices.push(Samples("a", time, np.ones((3000, 3)), 1000.0 + at, 1e9 + at, 50.0))
        for second in range(65):
            kinds += [event.kind for event in devices.tick(1000.0 + at + min(second, 57))[0]]
    assert kinds == ["new"]
    assert [event.kind for event in devices.tick(1000.0 + 400)[0]] == ["silent"]


def test_a_pause_of_an_hour_makes_no_cadence() -> None:
    devices = make_devices(make_grid(), FRAME)
    for at in (0.0, 1.0, 3600.0, 3601.0, 3602.0):
        devices.push(Samples("a", 1e9 + at + np.arange(50) / 50, np.ones((50, 3)), 1000.0 + at, 1e9 + at, 50.0))
    devices.tick(4602.0)
    assert [event.kind for event in devices.tick(4663.0)[0]] == ["silent"]


def test_a_new_device_replaces_the_least_recently_heard_one() -> None:
    many = devices(max_devices=2)
    feeder = Feeder(many)
    for at, name in enumerate(["a", "b", "a", "c"]):
        feeder.push(message(second(at), name, at=at))
    events, _ = many.tick(4)
    found = [(event.device, event.kind) for event in events]
    assert found == [("a", "new"), ("b", "new"), ("b", "forgotten_unpublished"), ("c", "new")]
    assert len(many) == 2
    assert feeder.close().decoded == 80


def test_a_flood_of_names_is_bounded_and_evicts_no_device_with_windows() -> None:
    many = devices(max_devices=5)
    feeder = Feeder(many)
    for i in range(200):
        feeder.push(*(message(second(0), f"d{i}.{k}", at=float(i)) for k in range(10)))
        feeder.push(message(second(i), "honest", at=float(i)))
        assert len(many) <= 5
        many.tick(float(i))
    assert len(feeder.windows) == 0  # the flood evicts a device before its first window
    for i in range(200, 205):
        feeder.push(message(second(i), "honest", at=float(i)))
    for i in range(205, 300):
        feeder.push(*(message(second(0), f"d{i}.{k}", at=float(i)) for k in range(10)))
        feeder.push(message(second(i), "honest", at=float(i)))
        many.tick(float(i))
    assert [window.device for window in feeder.windows] == ["honest"] * 98
    assert feeder.close().unused == 20 * (10 * 295 + 199)


def test_a_silent_device_is_replaced_before_one_without_windows() -> None:
    many = devices(max_devices=2, silent_after_s=60.0)
    feeder = Feeder(many)
    for i in range(5):
        feeder.push(message(second(i), "gone", at=float(i)))
    feeder.push(message(second(70), "new", at=70.0))
    many.tick(70.0)
    feeder.push(message(second(71), "newer", at=71.0))
    assert ("gone" in many, "new" in many, "newer" in many) == (False, True, True)


def test_after_a_restart_a_flood_of_names_evicts_no_device_with_windows() -> None:
    before = devices(max_devices=5)
    for i in range(4):
        before.push(message(second(i), "honest", at=float(i)))
    for i in range(4):
        before.push(message(second(0), f"d{i}", at=4.0))
    after = devices(max_devices=5)
    after.restore(before.states(), 100.0, whole=True)
    after.push(message(second(0), "another", at=105.0))
    assert [(e.device, e.kind) for e in after.tick(105.0)[0]][-2:] == [("d0", "forgotten"), ("another", "new")]
    assert "honest" in after


def test_a_silent_device_is_replaced_also_before_a_tick_finds_it_silent() -> None:
    many = devices(max_devices=2, silent_after_s=60.0)
    for i in range(5):
        many.push(message(second(i), "gone", at=float(i)))
    many.push(message(second(70), "new", at=70.0))
    many.push(message(second(71), "newer", at=71.0))
    assert ("gone" in many, "new" in many, "newer" in many) == (False, True, True)


def test_a_device_without_windows_is_forgotten_as_published_once_it_was_silent() -> None:
    """Its silence was published: otherwise its retained `unknown` would never be cleared."""
    many = devices(max_devices=1, silent_after_s=60.0)
    feeder = Feeder(many)
    feeder.push(message(second(0), "odd", at=0.0))
    many.tick(61.0)
    feeder.push(message(second(70), "odd", at=70.0), message(second(71), "newer", at=71.0))
    assert [(e.device, e.kind) for e in many.tick(71.0)[0]] == [("odd", "back"), ("odd", "forgotten"), ("newer", "new")]


def test_a_window_has_the_samples_of_its_run_before_it() -> None:
    feeder = Feeder(make_devices(GRID, FRAME))
    feeder.push(*(message(second(i), at=float(i)) for i in (*range(12), *range(30, 36))))
    points = len(GRID.offsets)
    by_start = {round(w.start): w for w in feeder.windows}
    first = min(by_start)
    lengths = [len(by_start[start].before) for start in sorted(by_start)]
    ages = [start - first for start in sorted(by_start)]
    assert lengths == [points if GRID.length_s <= age < 12 else 0 for age in ages]
    later = first + round(GRID.length_s)
    np.testing.assert_allclose(by_start[later].before[1:-1], by_start[first].xyz[1:-1], atol=1e-6)


def test_each_event_is_given_once() -> None:
    one = devices(silent_after_s=60.0, forget_after_s=600.0)
    feeder = Feeder(one)
    feeder.push(message(second(0), at=0.0))
    kinds = {now: [e.kind for e in one.tick(now)[0]] for now in (1.0, 60.0, 61.0, 62.0)}
    assert kinds == {1.0: ["new"], 60.0: [], 61.0: ["silent"], 62.0: []}
    assert one.active() == 0
    feeder.push(message(second(70), at=70.0))
    assert [e.kind for e in one.tick(71.0)[0]] == ["back"]
    assert one.active() == 1
    assert [e.kind for e in one.tick(131.0)[0]] == ["silent"]
    events, delta = one.tick(671.0)
    assert [e.kind for e in events] == ["forgotten"]
    assert delta.unused == 20
    assert len(one) == 0


def test_end_run_starts_a_new_grid_and_accepts_an_unknown_device() -> None:
    one = devices()
    feeder = Feeder(one)
    feeder.push(*(message(second(i)) for i in range(4)))
    feeder.delta += one.end_run("d") + one.end_run("unknown")
    feeder.push(*(message(second(4.5 + i)) for i in range(4)))
    assert [w.start - NOW for w in feeder.windows] == [0, 4.5]
    feeder.close()
