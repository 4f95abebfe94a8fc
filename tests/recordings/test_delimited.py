"""Delimited text as loggers, spreadsheets and people write it. Each file holds the same walk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hard.recordings.delimited import find_layout, is_comment, read_number, read_rows, read_time
from hard.recordings.recordings import read
from hard.recordings.tables import NoRecordError, RecordingError
from hard.simulator import Wearer

MOTION = Wearer(3, 50.0, start=1_700_000_000.0, among=("Walking",)).take(600)
Cells = list[list[str]]


def cells(time: Callable[[float], str] = "{:.2f}".format) -> Cells:
    return [
        [time(t), *(f"{value:.4f}" for value in xyz)]
        for t, xyz in zip(MOTION.time.tolist(), MOTION.xyz.tolist(), strict=True)
    ]


def lines(rows: Cells, delimiter: str = ",", end: str = "\n") -> str:
    return "".join(delimiter.join(row) + end for row in rows)


def german(rows: Cells) -> Cells:
    return [[text.replace(".", ",") for text in row] for row in rows]


def iso(t: float) -> str:
    return str(np.datetime64(round(t * 1000), "ms"))


PLAIN = lines(cells())
FILES = {
    "a preamble": "---- Logger v6 at 50 Hz ----\nSerial Number: XXX0X\nStart 14/11/2023, 22:13\n\nTime,X,Y,Z\n" + PLAIN,
    "comments": "# exported by logger 2.1\n% rate 50\ntimestamp,x,y,z\n" + PLAIN.replace("\n", "\n# pause\n", 9),
    "a header in a comment": "# t x y z\n" + lines(cells(), " "),
    "trailing commas": "timestamp,x,y,z\n" + lines(cells(), end=",\n"),
    "trailing semicolons and a header with one too": "t,x,y,z;\n" + lines(cells(), end=";\n"),
    "decimal commas": '"Time (s)";"Acceleration x (m/s^2)";"Acceleration y (m/s^2)";"Acceleration z (m/s^2)"\n'
    + lines(german(cells()), ";"),
    "quoted decimal commas": "t,x,y,z\n" + lines([[f'"{text}"' for text in row] for row in german(cells())]),
    "tabs": "Time\tAccelerometer X\tAccelerometer Y\tAccelerometer Z\n" + lines(german(cells()), "\t"),
    "white space": "time   ax  ay  az\n" + lines(cells(), "   "),
    "no header": PLAIN,
    "no header, decimal commas": lines(german(cells()), ";"),
    "an index beside the time": "time,t,x,y,z\n"
    + lines([[t, str(i / 20), *xyz] for i, (t, *xyz) in enumerate(cells())]),
    "newest first, in ms": "timestamp,x,y,z\n" + lines(cells(lambda t: str(round(t * 1000)))[::-1]),
    "whole seconds": "timestamp,x,y,z\n" + lines(cells(lambda t: str(int(t)))),
    "dates": "Timestamp,X,Y,Z\n" + lines(cells(iso)),
    "dates, whole seconds": "Timestamp,X,Y,Z\n" + lines(cells(lambda t: iso(int(t)))),
    "dates without a header": lines(cells(iso)),
    "dates with a zone": "Timestamp,X,Y,Z\n" + lines(cells(lambda t: iso(t + 7200) + "+02:00")),
    "a row of units": "time,accX,accY,accZ\n[s],[m/s2],[m/s2],[m/s2]\n" + PLAIN,
    "a column without a name": ",t,x,y,z\n" + lines([[str(i), *row] for i, row in enumerate(cells())]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_each_way_to_write_it_gives_the_same_recording(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(FILES[name])
    (run,), rejected = read(tmp_path / "a.csv")
    np.testing.assert_allclose(run.xyz, MOTION.xyz, atol=1e-4)
    np.testing.assert_allclose(run.time, MOTION.time, atol=1e-3)
    assert rejected.total() == (name == "a row of units")


def test_the_unit_in_a_header_is_taken(tmp_path: Path) -> None:
    rows = [[t, *(f"{float(value) / 9.80665:.6f}" for value in xyz)] for t, *xyz in cells()]
    (tmp_path / "a.csv").write_text("time,gFx (g),gFy (g),gFz (g)\n" + lines(rows))
    (run,), _ = read(tmp_path / "a.csv")
    np.testing.assert_allclose(run.xyz, MOTION.xyz, atol=1e-4)


@pytest.mark.parametrize("first", [0, 1])
def test_times_that_count_samples_need_the_rate(tmp_path: Path, first: int) -> None:
    (tmp_path / "a.csv").write_text(
        "t,x,y,z\n" + lines([[str(i + first), *xyz] for i, (_, *xyz) in enumerate(cells())])
    )
    with pytest.raises(RecordingError, match="column of times counts samples, so the sample rate must be given"):
        read(tmp_path / "a.csv")
    (run,), _ = read(tmp_path / "a.csv", rate_hz=50)
    np.testing.assert_allclose(np.diff(run.time), 0.02)


def test_a_time_that_is_none_costs_its_row_and_the_rate_stands_in_where_all_are(tmp_path: Path) -> None:
    rows = cells()
    rows[7][0] = "soon"
    (tmp_path / "a.csv").write_text("t,x,y,z\n" + lines(rows))
    runs, rejected = read(tmp_path / "a.csv")
    assert (sum(len(run.time) for run in runs), +rejected) == (599, {"not a number": 1})
    (tmp_path / "a.csv").write_text("t,x,y,z\n" + lines([["14/11/2023 22:13", *xyz] for _, *xyz in cells()]))
    with pytest.raises(RecordingError, match=r"none of its times can be read \(first line 2, '14/11/2023 22:13'\)"):
        read(tmp_path / "a.csv")
    (run,), _ = read(tmp_path / "a.csv", rate_hz=50)
    assert len(run.time) == 600


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\nb\ntime,lx,ly,lz\n1,2,3,4\n", r"line 3 has no column 'x'; it has time, lx, ly, lz: .* --columns x=NAME"),
        ("1,2,3,4,5\n" * 30, r"no line names its 5 columns \(line 1 is .* --columns time=1,x=2,y=3,z=4$"),
        ("t,x,y,z\n1,2,3\n1,2,3\n", r"2 × wrong number of fields \(first line 2, 3 instead of 4\)"),
        ("t,x,y,z\n0,1,2,x\n", r"1 × not a number \(first line 2, 'x'\)"),
        ("0,1,0,2,0,3,0,4\n" * 30, r"no line names its 8 columns"),
        ('{"t0": 1, "xyz": [[1, 2, 3]]}\n', "is JSON, no recording: captured messages are read with --format json"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_line_and_the_way_out(
    tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(NoRecordError, match=sentence):
        read(tmp_path / "a.csv")


def test_columns_without_a_header_are_named_by_their_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(lines([["7", *xyz, t] for t, *xyz in cells()]))
    (run,), _ = read(tmp_path / "a.csv", columns={"time": "5", "x": "2", "y": "3", "z": "4"})
    np.testing.assert_allclose(run.xyz, MOTION.xyz, atol=1e-4)


def test_the_parts_of_a_row() -> None:
    assert read_number("-1,5e-1") == -0.15
    assert read_time("1970-01-02T00:00:00Z") == (86400.0, True)
    assert read_time("00:01:00.5") == (60.5, True)
    assert np.isnan(read_time("noon")[0])
    assert is_comment("  # so")
    layout = find_layout(["no", "t;x;y;z;;", "0;1;2;3"], {}, Path("a"))
    assert layout is not None
    assert (layout.delimiter, layout.header, layout.lines_above) == (";", ("t", "x", "y", "z"), 2)
    assert read_rows(["t;x;y;z", "0;1;2;3"], find_layout(["t;x;y;z"], {}, Path("a")), {}, Path("a")).time == [0.0]  # type: ignore[arg-type]
