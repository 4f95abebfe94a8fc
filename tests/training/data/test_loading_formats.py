"""Recordings as people have them: other column names, Parquet, folders, WISDM 2019, labels renamed and merged."""

from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pytest
from training.data import loading
from training.errors import RefusedError
from training.evaluation import evaluate
from training.options import Source

from hard.commands.arguments import columns, pairs
from hard.model.classifier import load
from hard.recordings.default_rules import bundle_devices, default_grid

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


NAMED = columns("time=Time (ms),x=acc X,y=acc Y,z=acc Z,subject=who")


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
    runs, rejected = loading.load([path], Source(unit="m/s2", columns=NAMED))
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
    runs, rejected = loading.load([tmp_path / "gap.PARQUET"], Source(unit="m/s2", columns=NAMED))
    assert rejected == {"not a number": 1}
    assert len(runs[0].time) == N - 1


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="has no column 'acc Q'; it has Time"):
        loading.load([as_csv(tmp_path / "own.csv")], Source(unit="m/s2", columns=columns("x=acc Q")))


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.parquet").write_text("hello")
    with pytest.raises(RefusedError, match=r"no\.parquet: ") as refusal:
        loading.load([tmp_path / "no.parquet"], Source(unit="m/s2"))
    assert "\n" not in str(refusal.value)


def test_a_folder_is_every_recording_in_it(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "deep/c.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        as_csv(tmp_path / name)
    (tmp_path / "notes.md").write_text("not a recording")
    runs, _ = loading.load([tmp_path], Source(unit="m/s2", columns=NAMED))
    assert len(runs) == 3
    (tmp_path / "empty").mkdir()
    with pytest.raises(RefusedError, match="holds no recording"):
        loading.load([tmp_path / "empty"], Source(unit="m/s2"))


def test_wisdm_2019_has_letters_for_activities(tmp_path: Path) -> None:
    path = tmp_path / "data_1600_accel_phone.txt"
    codes = "A" * 40 + "S" * 40
    path.write_text(
        "".join(f"1600,{c},{252207666810782 + i * 50_000_000},0.1,8.5,{i % 7};\n" for i, c in enumerate(codes))
    )
    runs, rejected = loading.load([path], Source(unit="m/s2"))
    assert not rejected
    assert runs[0].truth is not None
    assert runs[0].truth.tolist() == ["Walking"] * 40 + ["Folding Clothes"] * 40
    np.testing.assert_allclose(np.diff(runs[0].time), 0.05, atol=1e-6)


def test_labels_are_renamed_and_merged(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "own.csv")
    labels = pairs("Stairs=up,Stairs=down")
    runs, _ = loading.load([path], Source(unit="m/s2", columns=NAMED, labels=labels))
    assert runs[0].truth is not None
    assert runs[0].truth.tolist() == ["walk"] * 40 + ["Stairs"] * 60


def test_names_that_differ_by_case_only_are_one_label(tmp_path: Path) -> None:
    first, second = as_csv(tmp_path / "a.csv"), as_csv(tmp_path / "b.csv")
    second.write_text(second.read_text().replace("walk", "WALK").replace("up", "UPSTAIRS"))
    runs, _ = loading.load([first, second], Source(unit="m/s2", columns=NAMED))
    assert {str(name) for run in runs for name in run.truth} == {"walk", "up", "down", "Upstairs"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [("Walking=run", "names 'run', but the recordings have down, up, walk"), ("A=up,B=up", "'up' to two labels")],
)
def test_labels_that_make_no_sense_are_refused(tmp_path: Path, labels: str, sentence: str) -> None:
    with pytest.raises(RefusedError, match=sentence):
        loading.load([as_csv(tmp_path / "own.csv")], Source(unit="m/s2", columns=NAMED, labels=pairs(labels)))


@pytest.mark.parametrize("text", ["x", "x=", "speed=v", "x=a,x=b"])
def test_pairs_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        columns(text)


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
    whole, _ = loading.load([recording], Source(unit="m/s2"))
    parted, _ = loading.load(split_by_activity(recording, tmp_path), Source(unit="m/s2"))
    expected, found = (loading.windows_of(runs, default_grid(4.0, 20.0)) for runs in (whole, parted))
    assert expected.two_pass.calibrated.all()
    assert not expected.calibrated.all()
    assert (found.subject == expected.subject).all()
    assert (found.truth == expected.truth).all()
    assert set(found.truth) == {"Walking", "Jogging", "Sitting"}
    for ours, theirs in zip(found.two_pass.known, expected.two_pass.known, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(found.windows, expected.windows, strict=True):
        assert (ours.device, ours.start, ours.calibrated) == (theirs.device, theirs.start, theirs.calibrated)
        np.testing.assert_array_equal(ours.xyz, theirs.xyz)


def test_files_by_activity_change_no_label(recording: Path, tmp_path: Path) -> None:
    grid = bundle_devices(load().bundle, 1.0).grid
    labels = []
    for paths in ([recording], split_by_activity(recording, tmp_path)):
        labelled = loading.windows_of(loading.load(paths, Source(unit="m/s2"))[0], grid)
        labels.append([prediction.label for prediction in evaluate.classify(load(), labelled)])
    assert labels[0] == labels[1]
    assert len(set(labels[0])) > 1


def wisdm(path: Path, *, subject: str = "1600", codes: str = "A" * 100, scale: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(
            f"{subject},{code},{10**12 + i * 20_000_000},{0.1 * scale},{9.81 * scale},{i % 7 * scale};\n"
            for i, code in enumerate(codes)
        )
    )
    return path


def test_of_a_folder_what_holds_no_accelerations_is_passed_over_and_counted(tmp_path: Path) -> None:
    wisdm(tmp_path / "raw" / "phone" / "accel" / "data_1600_accel_phone.txt")
    wisdm(tmp_path / "raw" / "phone" / "gyro" / "data_1600_gyro_phone.txt", scale=0.01)
    wisdm(tmp_path / "raw" / "watch_Gyroscope.csv", scale=0.01)
    (tmp_path / "raw" / "readme.txt").write_text("WISDM\n\nPlease read, and cite, this.\n")
    (tmp_path / "raw" / "people.csv").write_text("code,weight,height\n1,102,188\n")
    runs, rejected = loading.load([tmp_path], Source())
    assert sum(len(run.time) for run in runs) == 100
    assert rejected == {
        "file of a gyroscope": 2,
        "file without a record: readme.txt": 1,
        "file without a record: people.csv": 1,
    }
    assert [path.name for path in loading.files([tmp_path])] == [
        "people.csv",
        "data_1600_accel_phone.txt",
        "readme.txt",
    ]
    with pytest.raises(RefusedError, match="gyro: holds a gyroscope's files alone"):
        loading.load([tmp_path / "raw" / "phone" / "gyro"], Source())
    with pytest.raises(RefusedError, match=r"readme\.txt: no record could be read"):
        loading.load(
            [tmp_path, tmp_path.joinpath("raw", "readme.txt").rename(tmp_path.parent / "readme.txt")], Source()
        )


def test_a_folder_without_any_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("WISDM\n")
    with pytest.raises(RefusedError, match=r"no file holds a record: file without a record: readme\.txt"):
        loading.load([tmp_path], Source())


def test_one_unknown_code_leaves_wisdms_key_to_the_others(tmp_path: Path) -> None:
    runs, rejected = loading.load([wisdm(tmp_path / "w.txt", codes="A" * 60 + "N" + "D" * 39)], Source())
    assert rejected == {"unknown activity code": 1}
    assert {str(name) for run in runs for name in run.truth} == {"Walking", "Sitting"}  # type: ignore[union-attr]
    runs, rejected = loading.load([wisdm(tmp_path / "own.txt", codes="XYZA" * 25)], Source())
    assert not rejected
    assert {str(name) for run in runs for name in run.truth} == set("XYZA")  # type: ignore[union-attr]


@pytest.mark.parametrize("axes", ["linX,linY,linZ", "gyro_x,gyro_y,gyro_z"])
def test_axes_of_unknown_names_are_refused_with_the_way_out(tmp_path: Path, axes: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(f"user,activity,timestamp,{axes}\n" + "1,Walking,1,0.1,9.8,0.2\n1,Walking,2,0.1,9.8,0.2\n")
    with pytest.raises(
        RefusedError, match=f"has no column 'x'; it has user, activity, timestamp, {axes}".replace(",", ", ?")
    ) as refusal:
        loading.load([path], Source())
    assert str(refusal.value).endswith("say which holds it with --columns x=NAME,y=NAME,z=NAME")


def parquet(path: Path, **columns: object) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = {"t": TIME, "x": np.zeros(N), "y": np.full(N, 9.81), "z": np.arange(N) % 7, "label": TRUTH}
    pq.write_table(pa.table(table | columns), path)
    return path


def test_what_parquet_leaves_out_is_no_activity_and_no_subject(tmp_path: Path) -> None:
    people = [None] * 10 + [7.0] * (N - 10)
    path = parquet(tmp_path / "gaps.parquet", user=people, label=[None] * 30 + [2.0] * 40 + [1.5] * 30)
    runs, rejected = loading.load([path], Source())
    assert rejected == {"no subject": 10}
    assert [run.subject for run in runs] == ["7"]
    assert runs[0].truth is not None
    assert runs[0].truth.tolist() == [""] * 20 + ["2"] * 40 + ["1.5"] * 30


def test_timestamps_are_what_they_are_whatever_the_unit_of_numbers(tmp_path: Path) -> None:
    import pyarrow as pa

    path = parquet(
        tmp_path / "stamps.parquet", t=pa.array((1_700_000_000 + TIME) * 1e3).cast(pa.int64()).cast(pa.timestamp("ms"))
    )
    for time_unit in (None, "ms", "s"):
        runs, _ = loading.load([path], Source(time_unit=time_unit))
        np.testing.assert_allclose(runs[0].time, 1_700_000_000 + TIME, atol=1e-3)


def test_numbers_of_rows_are_no_subject_s_names(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,t,x,y,z,label\n" + "".join(f"{i},{i / 50},0,9.8,{i % 3},walk\n" for i in range(500)))
    with pytest.raises(RefusedError, match=r"a record each, so that column numbers records: .* --columns subject=NAME"):
        loading.load([path], Source())
    path.write_text("id,person,t,x,y,z,label\n" + "".join(f"{i},eve,{i / 50},0,9.8,1,walk\n" for i in range(500)))
    runs, _ = loading.load([path], Source())
    assert [run.subject for run in runs] == ["eve"]


@pytest.mark.parametrize(("unit", "scale"), [("g", 1 / 9.80665), ("mg", 1000 / 9.80665), ("mm/s2", 1000)])
def test_a_unit_that_gravity_contradicts_is_refused(tmp_path: Path, unit: str, scale: float) -> None:
    path = wisdm(tmp_path / "w.txt", scale=scale)
    with pytest.raises(RefusedError, match=f"which looks like {unit}, not m/s2: say --unit {unit}, or --unit m/s2 "):
        loading.load([path], Source())
    right, _ = loading.load([wisdm(tmp_path / "right.txt")], Source())
    runs, _ = loading.load([path], Source(unit=unit))
    np.testing.assert_allclose(runs[0].xyz, right[0].xyz, rtol=1e-6)


def test_a_stated_unit_is_believed_where_gravity_is_lacking(tmp_path: Path) -> None:
    runs, _ = loading.load([wisdm(tmp_path / "w.txt", scale=0.1)], Source(unit="m/s2"))
    assert runs[0].xyz[:, 1].max() == pytest.approx(0.981)
    with pytest.raises(
        RefusedError, match=r"median acceleration is 10\.26, which looks like m/s2, not g: say --unit m/s2$"
    ):
        loading.load([wisdm(tmp_path / "w.txt")], Source(unit="g"))


def test_each_file_may_have_a_unit_of_its_own(tmp_path: Path) -> None:
    plain = wisdm(tmp_path / "a.txt", subject="a")
    others = [wisdm(tmp_path / "watch" / f"{name}.txt", subject=name, scale=1 / 9.80665) for name in "bc"]
    paths = [plain, tmp_path / "watch"]
    for unit in ("b.txt=g,c.txt=g", f"{tmp_path / 'watch'}=g", "watch=g", "g,a.txt=m/s2"):
        runs, _ = loading.load(paths, Source(unit=unit))
        assert [run.subject for run in runs] == list("abc")
        for run in runs:
            np.testing.assert_allclose(run.xyz, runs[0].xyz, rtol=1e-6)
    with pytest.raises(RefusedError, match=r"say --unit b\.txt=g, or --unit b\.txt=m/s2 where gravity was taken out$"):
        loading.load(paths, Source())
    with pytest.raises(RefusedError, match=r"--unit names 'd\.txt', but the files are .*a\.txt"):
        loading.load([plain, *others], Source(unit="d.txt=g"))
    with pytest.raises(RefusedError, match="--unit: 'stone' is none of m/s2, g, mg, mm/s2, and"):
        loading.load([plain], Source(unit="a.txt=stone"))


def test_a_unit_may_be_said_again_for_another_file() -> None:
    import finetune

    options = finetune.parser().parse_args(["a", "b", "--out", "o", "--unit", "g", "--unit", "b.csv=m/s2"])
    assert options.unit == "g,b.csv=m/s2"


def test_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    path = wisdm(tmp_path / "w.txt")
    for paths in ([path, path], [tmp_path, path], [path, tmp_path / "." / ".." / tmp_path.name / "w.txt"]):
        with pytest.raises(RefusedError, match=r"w\.txt is named twice"):
            loading.load(paths, Source())


def test_a_file_without_a_column_of_places_may_be_given_one_and_every_file_is_a_data_set(
    recording: Path, tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("left.txt", "right.old.txt")]
    for path in paths:
        path.write_text("\n".join(recording.read_text().splitlines()[:1250]))
    runs, _ = loading.load(paths, Source(place="bag,left.txt=left wrist", dataset="left.txt=mine"))
    assert [(run.place, run.dataset) for run in runs] == [("left wrist", "mine"), ("bag", "right")]
    assert [run.device for run in runs] == ["1@left-wrist", "1@bag"]
    labelled = loading.windows_of(runs, default_grid(4.0, 20.0))
    assert set(labelled.subject.tolist()) == {"1"}
    assert set(labelled.place.tolist()) == {"left wrist", "bag"}
    assert set(labelled.dataset.tolist()) == {"mine", "right"}
    with pytest.raises(RefusedError, match=r"--dataset names 'no\.txt', but the files are"):
        loading.load(paths, Source(dataset="no.txt=mine"))


def test_a_label_that_is_dropped_has_no_window_but_its_samples_stay(recording: Path) -> None:
    runs, _ = loading.load([recording], Source(drop=("Jogging",)))
    assert sum(len(run.time) for run in runs) == 6 * 3 * 1250
    assert set(loading.windows_of(runs, default_grid(4.0, 20.0)).truth.tolist()) == {"Walking", "Sitting"}
    with pytest.raises(RefusedError, match="--drop names 'Lying', but the recordings have Jogging, Sitting, Walking"):
        loading.load([recording], Source(drop=("Lying",)))


def test_a_name_may_stand_for_one_of_two_labels(recording: Path) -> None:
    runs, _ = loading.load([recording], Source(labels=(("Walking|Sitting", "Jogging"),)))
    labelled = loading.windows_of(runs, default_grid(4.0, 20.0))
    assert loading.ordered(labelled.truth) == ("Walking", "Sitting")
    assert set(labelled.truth.tolist()) == {"Walking", "Sitting", "Walking|Sitting"}
    assert set(labelled.of_one_label.truth.tolist()) == {"Walking", "Sitting"}
    assert loading.alternatives("Walking|Sitting") == ("Walking", "Sitting")
