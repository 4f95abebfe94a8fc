"""Recordings as people have them: other column names, Parquet, folders, WISDM 2019, labels renamed and merged."""

from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pytest
from training import data, evaluation
from training.guards import RefusedError

from hard import cli
from hard.model.classifier import load
from hard.motion.windows import Grid

N = 100
TIME = np.arange(N) * 0.02
TRUTH = ["walk"] * 40 + ["up"] * 30 + ["down"] * 30


def columns_of_their_own() -> dict[str, list[object]]:
    x, y, z = np.random.default_rng(0).normal(0, 1, (3, N))
    return {
        "Time (ms)": (TIME * 1000).tolist(),
        "acc X": x.tolist(),
        "acc Y": y.tolist(),
        "acc Z": (z + 9.8).tolist(),
        "who": ["anna"] * N,
        "Activity": list(TRUTH),
    }


NAMED = cli.columns("time=Time (ms),x=acc X,y=acc Y,z=acc Z,subject=who")


def as_csv(path: Path, delimiter: str = ",") -> Path:
    table = columns_of_their_own()
    rows = [delimiter.join(table), *(delimiter.join(map(str, row)) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(rows) + "\n")
    return path


def as_parquet(path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns_of_their_own()), path)
    return path


@pytest.mark.parametrize("write", [as_csv, lambda path: as_csv(path, ";"), as_parquet], ids=["csv", "semicolons", "pq"])
def test_columns_are_found_by_the_names_given(tmp_path: Path, write: object) -> None:
    path = write(tmp_path / ("own.parquet" if write is as_parquet else "own.csv"))  # type: ignore[operator]
    runs, rejected = data.load([path], None, None, "m/s2", columns=NAMED)
    assert not rejected
    assert [(run.subject, len(run.time)) for run in runs] == [("anna", N)]
    np.testing.assert_allclose(runs[0].time, TIME)
    assert runs[0].truth is not None
    assert runs[0].truth.tolist() == TRUTH


def test_what_parquet_lacks_is_counted(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = columns_of_their_own()
    table["acc Y"][7] = None
    pq.write_table(pa.table(table), tmp_path / "gap.PARQUET")
    runs, rejected = data.load([tmp_path / "gap.PARQUET"], None, None, "m/s2", columns=NAMED)
    assert rejected == {"not a number": 1}
    assert len(runs[0].time) == N - 1


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="has no column 'acc Q'; it has Time"):
        data.load([as_csv(tmp_path / "own.csv")], None, None, "m/s2", columns=cli.columns("x=acc Q"))


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.parquet").write_text("hello")
    with pytest.raises(RefusedError, match=r"no\.parquet: ") as refusal:
        data.load([tmp_path / "no.parquet"], None, None, "m/s2")
    assert "\n" not in str(refusal.value)


def test_a_folder_is_every_recording_in_it(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "deep/c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        as_csv(tmp_path / name)
    (tmp_path / "notes.md").write_text("not a recording")
    runs, _ = data.load([tmp_path], None, None, "m/s2", columns=NAMED)
    assert len(runs) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(RefusedError, match="holds no recording"):
        data.load([tmp_path / "empty"], None, None, "m/s2")


def test_wisdm_2019_has_letters_for_activities(tmp_path: Path) -> None:
    path = tmp_path / "data_1600_accel_phone.txt"
    codes = "A" * 40 + "S" * 40
    path.write_text(
        "".join(f"1600,{c},{252207666810782 + i * 50_000_000},0.1,8.5,{i % 7};\n" for i, c in enumerate(codes))
    )
    runs, rejected = data.load([path], None, None, "m/s2")
    assert not rejected
    assert runs[0].truth is not None
    assert runs[0].truth.tolist() == ["Walking"] * 40 + ["Folding Clothes"] * 40
    np.testing.assert_allclose(np.diff(runs[0].time), 0.05, atol=1e-6)


def test_labels_are_renamed_and_merged(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "own.csv")
    labels = cli.pairs("Stairs=up,Stairs=down")
    runs, _ = data.load([path], None, None, "m/s2", columns=NAMED, labels=labels)
    assert runs[0].truth is not None
    assert runs[0].truth.tolist() == ["walk"] * 40 + ["Stairs"] * 60


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [("Walking=run", "names 'run', but the recordings have down, up, walk"), ("A=up,B=up", "'up' to two labels")],
)
def test_labels_that_make_no_sense_are_refused(tmp_path: Path, labels: str, sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        data.load([as_csv(tmp_path / "own.csv")], None, None, "m/s2", columns=NAMED, labels=cli.pairs(labels))


@pytest.mark.parametrize("text", ["x", "x=", "speed=v", "x=a,x=b"])
def test_pairs_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        cli.columns(text)


def split_by_activity(path: Path, folder: Path) -> list[Path]:
    """The same lines in a file for each activity, as MotionSense and others lay them out."""
    lines: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        lines.setdefault(line.split(",")[1], []).append(line)
    for activity, own in lines.items():
        (folder / f"{activity}.txt").write_text("\n".join(own))
    return [folder / f"{activity}.txt" for activity in lines]


def test_a_person_is_one_device_however_the_lines_are_laid_out(recording: Path, tmp_path: Path) -> None:
    """Only walking shows the mounting, and it is there for the windows of the other files too."""
    whole, _ = data.load([recording], None, None, "m/s2")
    parted, _ = data.load(split_by_activity(recording, tmp_path), None, None, "m/s2")
    expected, found = (data.cut(runs, Grid(4.0, 20.0)) for runs in (whole, parted))
    assert all(window.calibrated for window in expected.windows)
    assert (found.subject == expected.subject).all()
    assert (found.truth == expected.truth).all()
    assert set(found.truth) == {"Walking", "Jogging", "Sitting"}
    for ours, theirs in zip(found.mounting, expected.mounting, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(found.windows, expected.windows, strict=True):
        assert (ours.device, ours.start, ours.calibrated) == (theirs.device, theirs.start, theirs.calibrated)
        np.testing.assert_array_equal(ours.xyz, theirs.xyz)


def test_files_by_activity_change_no_label(recording: Path, tmp_path: Path) -> None:
    grid = load().bundle.grid(hop_s=1.0)
    labels = []
    for paths in ([recording], split_by_activity(recording, tmp_path)):
        labelled = data.cut(data.load(paths, None, None, "m/s2")[0], grid)
        labels.append([prediction.label for prediction in evaluation.classify(load(), labelled)])
    assert labels[0] == labels[1]
    assert len(set(labels[0])) > 1
