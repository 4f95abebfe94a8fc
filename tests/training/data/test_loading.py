"""Recordings → labelled windows: WISDM v1.1 with its defects counted, one truth a window, and the default mounting."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training.data import loading
from training.data.loading import LabelledWindows
from training.errors import RefusedError
from training.options import Source

from hard.recordings.default_rules import default_grid

STEP_NS = 50_000_000  # 20 Hz


def line(i: int, activity: str = "Walking", subject: int = 1) -> str:
    return f"{subject},{activity},{10**12 + i * STEP_NS},0.1,9.{i % 10},1.0;"


def test_the_defects_of_wisdm_are_survived_and_counted(tmp_path: Path) -> None:
    lines = [line(i) for i in range(200)]
    lines[20] += line(20, subject=2)  # two records on one line
    lines[40:40] = ["", "   "]
    lines += [
        "11,Walking,1867172313000,4.4,4.4,;",
        "1,Walking,0,1.0,9.0,1.0;",
        f"1,Walking,{10**12 + 201 * STEP_NS},0,0,0;",
        f"1,Walking,{10**12 + 199 * STEP_NS},1.0,9.0,1.0;",  # repeated time
        f"1,Walking,{10**12 + 202 * STEP_NS},one,9.0,1.0;",
        f"1,Walking,{10**12 + 203 * STEP_NS},1e6,9.0,1.0;",
    ]
    path = tmp_path / "defects.txt"
    path.write_text("\n".join(lines))
    runs, rejected = loading.load([path], Source(unit="m/s2"))
    assert dict(rejected) == {
        "not a number": 2,
        "time is zero": 1,
        "all axes zero": 1,
        "repeated time": 1,
        "out of range": 1,
    }
    assert [(run.subject, len(run.time)) for run in runs] == [("1", 200), ("2", 1)]


def test_a_window_of_two_truths_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "change.txt"
    path.write_text("\n".join(line(i, "Walking" if i < 200 else "Sitting") for i in range(400)))
    runs, _ = loading.load([path], Source(unit="m/s2"))
    labelled = loading.windows_of(runs, default_grid(4.0, 20.0))
    assert loading.ordered(labelled.truth) == ("Walking", "Sitting")
    assert labelled.truth.tolist() == ["Walking"] * 7 + ["Sitting"] * 7
    assert labelled.xyz.shape == (14, 80, 3)


def test_several_files_are_one_set_of_subjects(recording: Path, tmp_path: Path) -> None:
    once, _ = loading.load([recording], Source(unit="m/s2"))
    copy = tmp_path / "copy.txt"
    copy.write_bytes(recording.read_bytes())
    twice, _ = loading.load([recording, copy], Source(unit="m/s2"))
    assert len(twice) == 2 * len(once)
    assert {run.subject for run in twice} == set("123456")


def test_the_default_mounting_is_where_gravity_points_while_walking(recording: Path) -> None:
    runs, _ = loading.load([recording], Source(unit="m/s2"))
    labelled = loading.windows_of(runs, default_grid(4.0, 20.0))
    default = loading.default_mounting(labelled)
    expected = np.array([0, 9.6, 1.5]) / np.hypot(9.6, 1.5)
    np.testing.assert_allclose(default.up, expected, atol=0.05)
    assert np.linalg.norm(default.forward) == pytest.approx(1, abs=1e-5)
    assert default.forward @ default.up == pytest.approx(0, abs=1e-5)
    assert not default.calibrated


def test_the_default_mounting_stands_in_for_subjects_who_never_walk(recording: Path) -> None:
    runs, _ = loading.load([recording], Source(unit="m/s2"))
    labelled = loading.windows_of(
        [run for run in runs if run.truth is not None and run.truth[0] != "Walking"], default_grid(4.0, 20.0)
    )
    default = loading.default_mounting(labelled)
    for window in labelled.with_default_mounting(default).windows:
        assert window.calibrated or window.up is default.up


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("t,x,y,z\n0,1,2,3\n0.1,1,2,3\n", "no column of activities"),
        ("1,Walking,5,1,;\n", "no record could be read"),
        ("x,y,z,label\n1,9,3,Walking\n", r"has no times, so the sample rate must be given \(--recorded-hz\)$"),
    ],
)
def test_a_file_without_use_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "useless.txt"
    path.write_text(text)
    with pytest.raises(RefusedError, match=sentence):
        loading.load([path], Source(unit="m/s2"))


def test_recordings_too_short_for_a_window_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_text("\n".join(line(i) for i in range(40)))
    runs, _ = loading.load([path], Source(unit="m/s2"))
    with pytest.raises(RefusedError, match=r"no recording holds 4 s .*; the longest run has 1\.95 s"):
        loading.windows_of(runs, default_grid(4.0, 20.0))


def test_windows_weigh_by_how_many_share_data_set_place_and_truth() -> None:
    truth, dataset = np.array(list("aaaab")), np.array(list("xxyxx"))
    place = np.array(["left wrist", "right wrist", "wrist", "chest", "wrist"])
    unread: Any = (None,) * 5
    labelled = LabelledWindows(unread, truth, truth, place, dataset, truth, learnt=unread)
    np.testing.assert_allclose(labelled.weights, [2**-0.5, 2**-0.5, 1, 1, 1])


def test_windows_know_the_mounting_as_it_was_at_the_time_and_as_it_was_learnt_in_the_end(recording: Path) -> None:
    runs, _ = loading.load([recording], Source())
    labelled = loading.windows_of(runs, default_grid(4.0, 20.0))
    first = labelled.subject == "1"
    assert labelled.calibrated[first].tolist() == [False] * 7 + [True] * (first.sum() - 7)
    assert labelled.two_pass.calibrated.all()
    assert labelled.two_pass.truth is labelled.truth
    some = labelled.at(np.array([3, 0]))
    assert some.learnt == (labelled.learnt[3], labelled.learnt[0])


def test_in_reverse_order_still_activities_come_before_the_first_steps(recording: Path) -> None:
    runs, _ = loading.load([recording], Source())
    found = loading.reversed_order(runs)
    assert [run.truth[0] for run in found[:3]] == ["Sitting", "Jogging", "Walking"]  # type: ignore[index]
    assert all(found[i].time[-1] < found[i + 1].time[0] for i in range(2))
    np.testing.assert_allclose(np.diff(found[2].time), np.diff(runs[0].time))
    labelled = loading.windows_of(found, default_grid(4.0, 20.0))
    assert len(labelled) == len(loading.windows_of(runs, default_grid(4.0, 20.0)))
    assert not labelled.calibrated[labelled.truth == "Sitting"].any()


def test_each_life_is_heard_by_a_device_that_knows_nothing(recording: Path) -> None:
    runs, _ = loading.load([recording], Source())
    grid = default_grid(4.0, 20.0)
    walking = [run for run in runs if run.subject == "1" and str(run.truth[0]) == "Walking"]  # type: ignore[index]
    sitting = [run for run in runs if run.subject == "1" and str(run.truth[0]) == "Sitting"]  # type: ignore[index]
    twice = loading.windows_of_lives([[*walking, *sitting], sitting], grid)
    calibrated = twice.calibrated[twice.truth == "Sitting"]
    assert calibrated[: len(calibrated) // 2].all()
    assert not calibrated[len(calibrated) // 2 :].any()
    assert set(twice.group.tolist()) == {"1"}
