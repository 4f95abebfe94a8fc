"""Recordings on disk: defects, times in every unit, compressed files, CSV, runs, windows and their truth."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hard.motion.mounting import Frame
from hard.recordings.default_rules import default_devices, default_grid
from hard.recordings.recordings import count_gyroscope_files, find_files, read, windows
from hard.recordings.tables import RecordingError, UnitError
from hard.recordings.times import MAX_ABS_TIME_S

UP = np.array([0, 1, 0], dtype=np.float32)
FRAME = Frame(UP, np.array([0, 0, 1], dtype=np.float32), calibrated=False)


def wisdm(
    n: int, *, subject: str = "1", truth: str = "Walking", start_ns: int = 10**12, step_ns: int = 20_000_000
) -> str:
    lines = (f"{subject},{truth},{start_ns + i * step_ns},{i % 7}.5,9.81,-0.25;" for i in range(n))
    return "\n".join(lines) + "\n"


def file(folder: Path, text: str, name: str = "recording.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_wisdm_lines_are_read(tmp_path: Path) -> None:
    runs, rejected = read(file(tmp_path, wisdm(100) + wisdm(50, subject="2", truth="Sitting")))
    assert [(run.subject, len(run.time)) for run in runs] == [("1", 100), ("2", 50)]
    assert runs[0].time[:2].tolist() == [1000.0, 1000.02]
    assert runs[0].xyz[1].tolist() == [1.5, 9.81, -0.25]
    assert runs[1].truth is not None
    assert set(runs[1].truth) == {"Sitting"}
    assert not +rejected


def test_the_defects_of_wisdm_are_accepted_and_counted(tmp_path: Path) -> None:
    good = wisdm(200).splitlines()
    text = "\n".join(
        [
            *good[:50],
            "",
            "   ",
            good[50] + good[51] + good[52],  # several records on one line
            good[53].replace(";", ",;"),  # a comma too many
            "11,Walking,1867172313000,4.4,4.4,;",  # a missing z
            "11,Walking,1867172313000,4.4;",
            "1,Walking,0,1.0,2.0,3.0;",
            "1,Walking,1001080000000,0,0,0;",
            "1,Walking,1001080000000,0.0,0.0,0.0;",
            *good[54:100],
            good[99],  # repeated
            good[101],
            good[100],  # out of order
            *good[102:],
        ]
    )
    runs, rejected = read(file(tmp_path, text))
    assert len(runs) == 1
    assert len(runs[0].time) == 200
    assert (np.diff(runs[0].time) > 0).all()
    assert +rejected == {
        "not a number": 1,
        "wrong number of fields": 1,
        "time is zero": 1,
        "all axes zero": 2,
        "repeated time": 1,
    }


def test_a_jump_forward_or_back_starts_a_new_run(tmp_path: Path) -> None:
    text = wisdm(100) + wisdm(100, start_ns=10**12 + 60 * 10**9) + wisdm(100, start_ns=5 * 10**11)
    runs, _ = read(file(tmp_path, text))
    assert [run.time[0] for run in runs] == [1000.0, 1060.0, 500.0]


@pytest.mark.parametrize("rate_hz", [20.0, 50.0, 100.0])
@pytest.mark.parametrize(("unit", "scale"), [("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_the_median_step_decides_the_time_unit(tmp_path: Path, unit: str, scale: float, rate_hz: float) -> None:
    # The first subject has one sample only: the unit must not follow from it.
    lines = ["9,Sitting,5,1,2,3;"] + [f"1,Walking,{(1000 + i / rate_hz) * scale!r},1,2,3;" for i in range(100)]
    path = file(tmp_path, "\n".join(lines))
    for runs, _ in (read(path), read(path, time_unit=unit)):
        np.testing.assert_allclose(runs[-1].time, 1000 + np.arange(100) / rate_hz, atol=1e-6)


def test_a_stated_time_unit_wins(tmp_path: Path) -> None:
    path = file(tmp_path, "\n".join(f"1,Walking,{1000 + i * 20},1,2,3;" for i in range(10)))
    assert read(path)[0][0].time[1] == pytest.approx(1.02)
    assert read(path, time_unit="us")[0][0].time[1] == pytest.approx(0.00102)


@pytest.mark.parametrize(
    ("suffix", "opener"),
    [(".gz", gzip.open), (".xz", lzma.open), (".bz2", bz2.open), (".CSV.GZ", gzip.open)],
    ids=["gz", "xz", "bz2", "capitals"],
)
def test_compressed_files_are_read(tmp_path: Path, suffix: str, opener: Callable[..., object]) -> None:
    path = tmp_path / f"recording.txt{suffix}"
    with opener(path, "wt") as stream:  # type: ignore[attr-defined]
        stream.write(wisdm(10))
    assert len(read(path)[0][0].time) == 10


def test_csv_is_read_by_its_header(tmp_path: Path) -> None:
    text = 'Time,"acc_x",Y,z,extra,Activity,user\n' + "".join(f"{i / 20},{i},2,3,?,Dancing,anna\n" for i in range(40))
    text += "2.0,a,2,3,?,Dancing,anna\n2.05,1,2,3\n\n,1,2,3,?,Dancing,anna\n"
    (run,), rejected = read(file(tmp_path, "\n" + text, "x.csv"))
    assert run.subject == "anna"
    assert run.xyz[5].tolist() == [5, 2, 3]
    assert run.truth is not None
    assert run.truth[0] == "Dancing"
    assert +rejected == {"not a number": 2, "wrong number of fields": 1}


def test_csv_may_lack_truth_subject_and_with_a_rate_time(tmp_path: Path) -> None:
    path = file(tmp_path, "x,y,z\n" + "1,2,3\n" * 100, "walk.csv")
    with pytest.raises(RecordingError, match=r"has no times, so the sample rate must be given$"):
        read(path)
    (run,), _ = read(path, rate_hz=25)
    assert (run.subject, run.truth) == ("walk", None)
    np.testing.assert_allclose(run.time, np.arange(100) / 25)


def test_a_unit_scales_values_and_impossible_ones_are_rejected(tmp_path: Path) -> None:
    path = file(tmp_path, "t,x,y,z\n0,0,1,0\n0.05,0,1,nan\n0.1,0,1,inf\n0.15,0,900,0\n0.2,1,1,0\n", "g.csv")
    (run,), rejected = read(path, unit="g")
    np.testing.assert_allclose(run.xyz, [[0, 9.80665, 0], [9.80665, 9.80665, 0]])
    assert rejected["out of range"] == 3


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.txt", b"", "no record could be read"),
        ("words.txt", b"these are\nno records\n", "2 × wrong number of fields"),
        ("bad.gz", b"no gzip", "Not a gzipped file"),
        ("cut.gz", gzip.compress(b"1,Walking,1,1,2,3;\n" * 1000)[:40], "."),
        ("broken.gz", gzip.compress(b"1,Walking,1,1,2,3;\n")[:12] + b"\xff" * 40, "."),
        ("bad.xz", b"no xz", "."),
        ("latin.txt", b"\xff\xfe\xff", "is not text"),
        ("wild.csv", b"t,x,y,z\n1,9999,1,1\n2,9999,1,1\n", "no record could be used .2 × out of range"),
        ("wide.csv", b"t,x,y,z\n" + b"1" * 200_000 + b",1,2,3\n", "field larger than field limit"),
    ],
)
def test_an_unreadable_file_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=sentence) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        read(tmp_path / "absent.txt")


def test_a_window_has_a_truth_where_all_its_samples_have_the_same(tmp_path: Path) -> None:
    change_ns = 10**12 + 10 * 10**9
    text = wisdm(500) + wisdm(500, truth="Sitting", start_ns=change_ns)
    runs, _ = read(file(tmp_path, text))
    assert len(runs) == 1
    found = list(windows(runs, default_devices(default_grid(4.0, 20.0), FRAME)))
    assert [one.truth for one in found] == ["Walking"] * 7 + [None] * 3 + ["Sitting"] * 7
    assert [one.window.start for one in found] == pytest.approx(list(range(1000, 1017)))


def test_windows_do_not_depend_on_the_length_of_messages(tmp_path: Path) -> None:
    runs, _ = read(file(tmp_path, wisdm(700) + wisdm(300, start_ns=5 * 10**11)))
    first = list(windows(runs, default_devices(default_grid(4.0, 20.0), FRAME), message_s=1.0))
    second = list(windows(runs, default_devices(default_grid(4.0, 20.0), FRAME), message_s=3.7))
    assert len(first) == len(second) == 11 + 3
    for a, b in zip(first, second, strict=True):
        assert a.window.start == b.window.start
        np.testing.assert_array_equal(a.window.xyz, b.window.xyz)


def test_a_subject_at_two_places_is_two_devices_with_clocks_of_their_own(tmp_path: Path) -> None:
    rows = [f"{i / 20},{i % 7},0,9.8,1,{place}" for i in range(120) for place in ("left wrist", "bag")]
    path = file(tmp_path, "\n".join(["t,x,y,z,subject,place", *rows]), "two.csv")
    runs, rejected = read(path)
    assert not +rejected
    assert [(run.subject, run.place, len(run.time)) for run in runs] == [("1", "left wrist", 120), ("1", "bag", 120)]
    found = list(windows(runs, default_devices(default_grid(4.0, 20.0), FRAME)))
    ids = [(one.subject, one.place, one.window.window_id) for one in found]
    assert ids[0] == ("1", "left wrist", "1@left-wrist:4000")
    assert [place for _, place, _ in ids] == ["left wrist"] * (len(ids) // 2) + ["bag"] * (len(ids) // 2)
    assert len(set(ids)) == len(ids) >= 4


def test_a_place_can_be_given_for_a_file_that_names_none(tmp_path: Path) -> None:
    (run,), _ = read(file(tmp_path, wisdm(200)), place="wrist")
    assert (run.place, run.device) == ("wrist", "1@wrist")
    assert read(file(tmp_path, wisdm(200)))[0][0].device == "1"


def test_a_parquet_file_has_places_too(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"subject": ["7"] * 60, "place": ["chest"] * 60, "time": [i / 20 for i in range(60)]}
    pq.write_table(pa.table({**columns, **{axis: [9.8] * 60 for axis in "xyz"}}), tmp_path / "p.parquet")
    (run,), _ = read(tmp_path / "p.parquet")
    assert (run.subject, run.place) == ("7", "chest")


def test_an_empty_truth_counts_as_none(tmp_path: Path) -> None:
    text = "t,x,y,z,label\n" + "".join(f"{i / 20},1,2,3,\n" for i in range(100))
    runs, _ = read(file(tmp_path, text, "x.csv"))
    assert {one.truth for one in windows(runs, default_devices(default_grid(4.0, 20.0), FRAME))} == {None}


@pytest.mark.slow
def test_motionsense_has_its_runs_and_no_defects(motionsense: Path) -> None:
    runs, rejected = read(motionsense)
    assert len(runs) == 18 * 15
    assert sum(len(run.time) for run in runs) == 1_055_242
    assert not +rejected


@pytest.mark.parametrize("time", ["1e300", "-1e308", "9e20"])
def test_an_impossible_time_is_rejected_and_ends_no_run(tmp_path: Path, time: str) -> None:
    lines = wisdm(200).splitlines()
    lines.insert(100, f"1,Walking,{time},1,2,3;")
    runs, rejected = read(file(tmp_path, "\n".join(lines)))
    assert +rejected == {"time out of range": 1}
    assert [len(run.time) for run in runs] == [200]
    assert list(windows(runs, default_devices(default_grid(2.0, 20.0), FRAME)))


def test_times_that_do_not_fit_the_stated_unit_are_refused(tmp_path: Path) -> None:
    path = file(tmp_path, wisdm(100, start_ns=1_700_000_000 * 10**9))
    with pytest.raises(RecordingError, match=r"no record could be used \(100 × time out of range\)"):
        read(path, time_unit="s")
    (run,), _ = read(path)
    assert run.time[0] == 1_700_000_000


def test_the_latest_possible_time_still_gives_windows(tmp_path: Path) -> None:
    text = "t,x,y,z\n" + "".join(f"{MAX_ABS_TIME_S - 30 + i / 50!r},{i % 5},9.8,0\n" for i in range(1500))
    runs, _ = read(file(tmp_path, text, "late.csv"), time_unit="s")
    assert len(list(windows(runs, default_devices(default_grid(4.0, 20.0), FRAME)))) == 27


def test_a_file_in_another_unit_is_refused_with_the_unit_that_fits(tmp_path: Path) -> None:
    path = file(tmp_path, "t,x,y,z\n" + "".join(f"{i / 50},0,1,0\n" for i in range(50)), "g.csv")
    with pytest.raises(UnitError) as refusal:
        read(path)
    error = refusal.value
    assert (error.path, error.likely_unit, error.stated) == (path, "g", False)
    assert str(error) == (
        f"{path}: its median acceleration is 1, which looks like g, not m/s2: "
        "say --unit g, or --unit m/s2 where gravity was taken out"
    )
    assert read(path, unit="g")[0][0].xyz[0, 1] == pytest.approx(9.80665)
    assert read(path, unit="m/s2")[0][0].xyz[0, 1] == 1  # stated: gravity may have been taken out


def test_a_column_of_record_numbers_is_not_taken_for_subjects(tmp_path: Path) -> None:
    path = file(tmp_path, "id,t,x,y,z\n" + "".join(f"{i},{i / 50},0,9.8,0\n" for i in range(50)), "rows.csv")
    with pytest.raises(RecordingError, match="a record each, so that column numbers records"):
        read(path)


def test_a_folder_gives_its_recordings_without_those_of_a_gyroscope(tmp_path: Path) -> None:
    for name in ("b.csv", "deep/a.txt", "gyro/c_gyro.csv", "watch_Gyroscope.csv", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_files([tmp_path]) == [tmp_path / "b.csv", tmp_path / "deep" / "a.txt"]
    assert count_gyroscope_files([tmp_path]) == 2
    named = tmp_path / "watch_Gyroscope.csv"
    assert find_files([named]) == [named]  # what is named is taken
    for folder, sentence in (("gyro", "holds a gyroscope's files alone"), ("none", "holds no recording")):
        (tmp_path / folder).mkdir(exist_ok=True)
        with pytest.raises(RecordingError, match=sentence) as refusal:
            find_files([tmp_path / folder])
        assert refusal.value.path == tmp_path / folder
