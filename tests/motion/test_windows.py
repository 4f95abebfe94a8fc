"""The window buffer: no sample lost or counted twice, the same windows for any batching and any rate."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.motion import make_grid

from hard.motion.windows import Grid, RawWindow, WindowBuffer
from hard.records import CounterDelta, Float64Array

NOW = 1_700_000_000.0
GRID = make_grid(4.0, 20.0)
GRIDS = [
    GRID,
    make_grid(4.0, 20.0, hop_s=4.0),  # windows that don't overlap
    make_grid(2.0, 20.0, hop_s=5.0, max_gap_s=0.5),  # windows with gaps between
    make_grid(4.0, 20.0, hop_s=0.73),  # not a multiple of the grid's step
    make_grid(2.0, 50.0, hop_s=1 / 3, min_coverage=0.0),
]


def wave(time: Float64Array) -> Float64Array:
    """A slow movement (N, 3) that interpolation can follow."""
    t = time - NOW
    return np.column_stack((np.sin(t), 9.81 + np.cos(0.7 * t), 0.1 * t))


@st.composite
def times(draw: st.DrawFn, max_seconds: float = 20.0) -> Float64Array:
    """Rising times of a device: any rate, jitter, short and long gaps, a start that a float rounds."""
    rate = draw(st.sampled_from([20.0, 25.0, 100 / 3, 50.0, 64.0, 100.0]))
    seconds = draw(st.floats(0.05, max_seconds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    time = NOW + draw(st.floats(0, 1)) + np.arange(max(1, round(seconds * rate))) / rate
    time += draw(st.sampled_from([0.0, 0.1, 0.4])) / rate * rng.uniform(-1, 1, len(time))
    for at, hole_s in draw(
        st.lists(st.tuples(st.floats(0, max_seconds), st.sampled_from([0.1, 0.6, 1.5])), max_size=3)
    ):
        time = time[(time < NOW + at) | (time >= NOW + at + hole_s)]
    return time if len(time) else np.array([NOW])


def batches(time: Float64Array, sizes: list[int]) -> list[Float64Array]:
    """`time` in messages of `sizes`, repeated."""
    edges = np.cumsum(sizes * (len(time) // sum(sizes) + 1))
    return [part for part in np.split(time, edges) if len(part)]


def push_all(grid: Grid, messages: list[Float64Array]) -> tuple[list[RawWindow], CounterDelta]:
    """Pushes messages of `wave`; checks the total after each."""
    buffer, windows, total = WindowBuffer(grid), [], CounterDelta()
    for message in messages:
        closed, delta = buffer.push(message, wave(message))
        windows += closed
        total += delta
        assert delta.decoded == len(message)
        assert len(closed) == delta.windows_closed - delta.windows_low_coverage
        assert_balanced(total, len(buffer))
        assert len(buffer) <= grid.max_samples
    return windows, total + buffer.end_run()


def assert_balanced(total: CounterDelta, buffered: int) -> None:
    assert total.decoded == total.accepted + total.late + total.duplicate + total.out_of_range + total.held
    assert total.accepted == total.used + total.unused + buffered
    assert min(getattr(total, name) for name in CounterDelta.__slots__) >= 0


def assert_same(some: list[RawWindow], others: list[RawWindow]) -> None:
    assert [window.start for window in some] == [window.start for window in others]
    assert [window.coverage for window in some] == [window.coverage for window in others]
    for a, b in zip(some, others, strict=True):
        np.testing.assert_allclose(a.xyz, b.xyz, atol=1e-4)


@given(times(), st.lists(st.integers(1, 50), min_size=1, max_size=5), st.sampled_from(GRIDS))
def test_windows_and_counters_do_not_depend_on_batching(time: Float64Array, sizes: list[int], grid: Grid) -> None:
    windows, total = push_all(grid, batches(time, sizes))
    whole, whole_total = push_all(grid, [time])
    assert_same(windows, whole)
    assert total == whole_total
    assert total.accepted == len(time)  # in order, none is late
    assert_balanced(total, 0)


@given(times(), st.sampled_from(GRIDS))
def test_windows_start_at_the_run_s_start_plus_k_hops(time: Float64Array, grid: Grid) -> None:
    windows, _ = push_all(grid, [time])
    breaks = np.flatnonzero(np.diff(time) > grid.max_gap_s + 1e-6) + 1
    firsts = time[[0, *breaks.tolist()]]
    for window in windows:
        k = (window.start - firsts[firsts <= window.start + 1e-6][-1]) / grid.hop_s
        assert abs(k - round(k)) * grid.hop_s < 1e-5
        assert window.end == window.start + grid.length_s
        assert window.xyz.shape == (len(grid.offsets), 3)
        assert grid.min_coverage <= window.coverage <= 1


@given(times(), st.sampled_from(GRIDS))
def test_grid_values_follow_the_movement_at_any_rate(time: Float64Array, grid: Grid) -> None:
    windows, _ = push_all(grid, [time])
    for window in windows:
        points = window.start + grid.offsets
        held = np.abs(window.xyz - wave(points)) < 0.02  # curvature × step² / 8 where samples are dense
        assert held.all(axis=1).mean() >= window.coverage - 1e-9


@pytest.mark.parametrize("rate", [20, 25, 100 / 3, 50, 64, 100])
@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_a_line_is_resampled_exactly(rate: float, jitter: float) -> None:
    time = NOW + 0.123 + np.arange(round(8 * rate)) / rate
    time += jitter / rate * np.random.default_rng(0).uniform(-1, 1, len(time))
    line = (time - NOW)[:, None] * [1.0, -2.0, 0.5]
    windows, _ = WindowBuffer(GRID).push(time, line)
    assert len(windows) == 5 or jitter
    for window in windows:
        expected = (window.start - NOW + GRID.offsets)[:, None] * [1.0, -2.0, 0.5]
        np.testing.assert_allclose(window.xyz, expected, atol=1e-4)
        assert window.coverage == 1


@pytest.mark.parametrize("rate", [40, 50, 100, 200])
def test_a_vibration_faster_than_the_grid_is_not_aliased(rate: float) -> None:
    time = NOW + np.arange(round(5 * rate)) / rate
    fast = np.sin(2 * np.pi * 17.0 * (time - NOW))[:, None] * [1.0, 1.0, 1.0]  # at 20 Hz as 3 Hz
    windows, _ = WindowBuffer(GRID).push(time, fast)
    assert windows
    assert all(np.abs(window.xyz[1:-1]).max() < 0.35 for window in windows)


@pytest.mark.parametrize("steps", [(0.005, 0.03), (0.03, 0.07), (0.05, 0.05), (0.05, 0.12)])
def test_samples_are_averaged_around_the_grid_points(steps: tuple[float, float]) -> None:
    rng = np.random.default_rng(3)
    time = NOW + np.cumsum(rng.uniform(*steps, 400))
    xyz = rng.normal(size=(400, 3))
    (first, *_), _ = WindowBuffer(GRID).push(time, xyz)
    points = first.start + GRID.offsets
    fine = (np.arange(2000) + 0.5) / 2000 - 0.5
    for axis in range(3):
        around = np.interp(points[:, None] + fine / GRID.rate_hz, time, xyz[:, axis]).mean(axis=1)
        np.testing.assert_allclose(first.xyz[1:-1, axis], around[1:-1], atol=2e-3)
        np.testing.assert_allclose(first.xyz[[0, -1], axis], np.interp(points[[0, -1]], time, xyz[:, axis]), atol=1e-5)


@pytest.mark.parametrize("start", [NOW, NOW + 0.1, NOW + 1 / 3, 1.0e9 + 0.7])
@pytest.mark.parametrize("rate", [20.0, 50.0, 100.0])
def test_a_window_closes_on_the_sample_that_reaches_its_last_grid_point(start: float, rate: float) -> None:
    time = start + np.arange(round(10 * rate)) / rate
    buffer = WindowBuffer(GRID)
    closed = [i for i in range(len(time)) if buffer.push(time[i : i + 1], np.zeros((1, 3)))[0]]
    assert closed == [ceil((4 + k - 0.05) * rate - 1e-6) for k in range(len(closed))]
    assert len(closed) == 7


@pytest.mark.parametrize("start", [NOW + 0.1, NOW + 1 / 3, 1.0e9 + 0.7])
def test_rounded_times_delay_no_window(start: float) -> None:
    grid = make_grid(4.0, 20.0, hop_s=0.35)
    buffer = WindowBuffer(grid)
    closed = [i for i in range(1000) if buffer.push(np.array([start + i / 20]), np.zeros((1, 3)))[0]]
    assert closed == list(range(79, 1000, 7))


def test_a_silence_over_max_gap_starts_a_new_grid() -> None:
    time = np.concatenate((NOW + np.arange(90) / 20, NOW + 5.537 + np.arange(90) / 20))
    windows, total = push_all(GRID, [time])
    assert [window.start for window in windows] == [NOW, NOW + 5.537]
    assert total.runs == 2


@pytest.mark.parametrize("max_gap_s", [0.7, 1.0])
@pytest.mark.parametrize("size", [1, 100])
def test_a_gap_of_exactly_max_gap_does_not_end_the_run(max_gap_s: float, size: int) -> None:
    _, total = push_all(
        make_grid(4.0, 20.0, max_gap_s=max_gap_s), batches(NOW + 0.1 + np.arange(100) * max_gap_s, [size])
    )
    assert total.runs == 1


def test_a_shorter_gap_is_interpolated_and_lowers_coverage() -> None:
    time = NOW + np.arange(80) / 20
    time = time[(time < NOW + 1.01) | (time > NOW + 1.59)]
    ((window,), total) = push_all(GRID, [time])
    assert window.coverage == pytest.approx(1 - 11 / 80)
    assert total.missing == 11
    np.testing.assert_allclose(window.xyz, wave(window.start + GRID.offsets), atol=0.06)


def test_a_window_of_low_coverage_is_counted_and_not_given() -> None:
    time = NOW + np.arange(200) / 20
    time = time[(time < NOW + 1.01) | (time > NOW + 1.99)]
    windows, total = push_all(GRID, [time])
    assert [window.start - NOW for window in windows] == [2, 3, 4, 5, 6]
    assert (total.windows_closed, total.windows_low_coverage) == (7, 2)
    assert total.unused == 21  # before the gap


@pytest.mark.parametrize("rate", [5.0, 2.0])
def test_a_device_too_slow_for_the_grid_gets_no_label(rate: float) -> None:
    windows, total = push_all(GRID, [NOW + np.arange(60) / rate])
    assert not windows
    assert total.windows_low_coverage == total.windows_closed > 0


def test_a_sample_older_than_a_closed_window_still_fills_open_ones() -> None:
    time = NOW + np.arange(120) / 20
    kept = np.ones(120, dtype=bool)
    kept[[15, 50]] = False
    buffer = WindowBuffer(GRID)
    buffer.push(time[kept][:85], wave(time[kept][:85]))  # the first window is closed, the second starts at 1 s
    _, delta = buffer.push(time[[15, 50]], wave(time[[15, 50]]))
    assert (delta.late, delta.accepted) == (1, 1)
    windows, _ = buffer.push(time[87:], wave(time[87:]))
    np.testing.assert_allclose(windows[0].xyz, wave(windows[0].start + GRID.offsets), atol=1e-3)


def test_a_sample_before_the_first_of_its_run_is_late() -> None:
    buffer = WindowBuffer(GRID)
    buffer.push(np.array([NOW]), np.zeros((1, 3)))
    _, delta = buffer.push(np.array([NOW - 0.05, NOW + 0.05]), np.zeros((2, 3)))
    assert (delta.late, delta.accepted) == (1, 1)


@given(times(8.0), st.integers(1, 40))
def test_repeated_messages_are_duplicates_or_late_and_change_nothing(time: Float64Array, size: int) -> None:
    messages = batches(time, [size])
    windows, total = push_all(GRID, [m for message in messages for m in (message, message)])
    once, once_total = push_all(GRID, messages)
    assert_same(windows, once)
    assert total.accepted == once_total.accepted
    assert total.duplicate + total.late == len(time)


def test_repeated_times_in_one_message_count_once() -> None:
    time = np.repeat(NOW + np.arange(80) / 20, 3)
    windows, total = push_all(GRID, [time])
    assert (total.accepted, total.duplicate, len(windows)) == (80, 160, 1)


@pytest.mark.parametrize("hop_s", [4.0, 10.0, 60.0])
def test_samples_between_windows_are_accepted_and_dropped(hop_s: float) -> None:
    grid = make_grid(4.0, 20.0, hop_s=hop_s)
    time = NOW + np.arange(130 * 50) / 50
    windows, total = push_all(grid, batches(time, [7]))
    assert [window.start - NOW for window in windows] == [k * hop_s for k in range(len(windows))]
    assert len(windows) == (130 - 4) // hop_s + 1
    assert (total.accepted, total.late, total.runs) == (len(time), 0, 1)


def test_a_long_message_at_a_normal_rate_loses_no_sample() -> None:
    time = NOW + np.arange(120 * 100) / 100
    windows, total = push_all(GRID, [time])
    assert total.accepted == len(time)
    assert len(windows) == 117


@pytest.mark.parametrize("size", [100, 50_000])
def test_samples_over_the_buffer_s_bound_are_counted(size: int) -> None:
    time = NOW + np.arange(200_000) / 25_000
    _, total = push_all(GRID, batches(time, [size]))  # push_all checks the bound
    assert total.out_of_range > 0
    assert_balanced(total, 0)


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 30)), max_size=30), st.sampled_from(GRIDS))
@example([(0, 30), (0, 1), (3000, 1), (0, 1)], GRID)
def test_counters_balance_for_any_messages(chunks: list[tuple[int, int]], grid: Grid) -> None:
    messages = [NOW + (at + np.arange(n)) / 100 for at, n in chunks]
    windows, total = push_all(grid, messages)
    assert_balanced(total, 0)
    for a, b in pairwise(windows):
        assert a.start < b.start
    for window in windows:
        assert np.isfinite(window.xyz).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"hop_s": 0.0},
        {"hop_s": -1.0},
        {"max_gap_s": 0.0},
        {"length_s": -4.0, "rate_hz": -20.0},
        {"rate_hz": float("nan")},
    ],
)
def test_a_grid_refuses_values_that_make_no_window(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        make_grid(**{"length_s": 4.0, "rate_hz": 20.0, **wrong})


@pytest.mark.parametrize(("length_s", "rate_hz"), [(4.01, 20.0), (0.05, 20.0), (1e5, 1e5)])
def test_a_grid_must_have_whole_points(length_s: float, rate_hz: float) -> None:
    with pytest.raises(ValueError, match="whole number of grid points"):
        make_grid(length_s, rate_hz)
