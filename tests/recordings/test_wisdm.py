"""WISDM text becomes columns; its defects are counted by their reason."""

from __future__ import annotations

from hard.recordings.wisdm import read_wisdm


def test_a_record_ends_with_a_semicolon_or_a_line() -> None:
    table = read_wisdm("1,Walking,5,0.1,0.2,0.3;2,Sitting,6,1,2,3,;\n3,Jogging,7,4,5,6\n")
    assert (table.subject, table.truth, table.time) == (["1", "2", "3"], ["Walking", "Sitting", "Jogging"], [5, 6, 7])
    assert table.xyz.tolist() == [[0.1, 0.2, 0.3], [1, 2, 3], [4, 5, 6]]
    assert not table.rejected


def test_each_defect_is_counted_by_its_reason() -> None:
    defects = ["1,Walking,5,1,2", "1,Walking,5,1,2,x", ",Walking,5,1,2,3", "1,Walking,0,1,2,3", "1,Walking,5,0,0,0"]
    table = read_wisdm(";\n".join(defects))
    assert (table.subject, table.xyz.shape) == ([], (0, 3))
    assert table.rejected == dict.fromkeys(
        ["wrong number of fields", "not a number", "no subject", "time is zero", "all axes zero"], 1
    )


def test_letters_are_the_activities_of_2019() -> None:
    table = read_wisdm("1,A,5,1,2,3;\n1,S,6,1,2,3;\n1,Z,7,1,2,3;\n")
    assert (table.truth, table.time) == (["Walking", "Folding Clothes"], [5, 6])
    assert table.rejected == {"unknown activity code": 1}
