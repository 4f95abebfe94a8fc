"""A bundle on own recordings, by `evaluate.py`: what was rejected is reported, names that don't match are refused."""

import json
from pathlib import Path

import pytest

from hard.model import bundle


def test_subjects_may_stand_with_blanks_and_what_was_rejected_is_reported(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import evaluate

    own = tmp_path / "own.txt"
    own.write_text(recording.read_text() + "1,Walking,1,one,2,3;\n1,Walking,2,1,2,\n1,Walking,3,1;\n" * 2)
    assert evaluate.main(["default", str(own), "--subjects", "1, 3", "--out", str(tmp_path / "report")]) == 0
    shown = capsys.readouterr().out
    assert "not a number" in shown
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["rejected"] == {"not a number": 4, "wrong number of fields": 2}
    assert set(report["figures"]["macro_f1_by_subject"]) == {"1", "3"}
    page = (tmp_path / "report" / "README.md").read_text()
    assert "Rejected records: 4 × not a number, 2 × wrong number of fields." in page


def test_activities_that_are_none_of_the_labels_are_refused_with_the_way_out(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import evaluate

    german, names = tmp_path / "german.txt", {"Walking": "Gehen", "Jogging": "Laufen", "Sitting": "Sitzen"}
    text = recording.read_text()
    for label, name in names.items():
        text = text.replace(label, name)
    german.write_text(text)
    assert evaluate.main(["default", str(german)]) == 2
    error = capsys.readouterr().err
    assert "activities (Gehen, Laufen, Sitzen) are none of the bundle's labels (Walking, Jogging," in error
    assert error.endswith("pair them with --labels Walking=NAME\n")
    paired = ",".join(f"{label}={name}" for label, name in names.items())
    assert evaluate.main(["default", str(german), "--labels", paired]) == 0
    assert "macro-F1" in capsys.readouterr().out


def test_recordings_in_another_unit_are_refused(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import evaluate

    rows = [line.rstrip(";").split(",") for line in recording.read_text().splitlines()]
    in_g = tmp_path / "g.txt"
    in_g.write_text(
        "".join(
            f"{subject},{activity},{t},{','.join(str(float(a) / 9.80665) for a in xyz)};\n"
            for subject, activity, t, *xyz in rows
        )
    )
    assert evaluate.main(["default", str(in_g)]) == 2
    assert "looks like g, not m/s2: say --unit g, or --unit m/s2 where gravity was taken out" in capsys.readouterr().err
    assert evaluate.main(["default", str(in_g), "--unit", "g.txt=g"]) == 0


def test_an_evaluation_has_outcome_threshold_and_whom_the_bundle_has_seen(known: Path) -> None:
    from training.evaluation.evaluate import AS_RECORDED, evaluate
    from training.options import Source

    found = evaluate(bundle.find(), [known], Source(), subjects=("1", "5"))
    assert found.subjects == found.seen_before == ("1", "5")
    assert found.warning.startswith("LEAKY: this bundle was trained on the subjects 1, 5;")
    assert set(found.outcome.subject.tolist()) == {"1", "5"}
    assert found.threshold == bundle.read().min_confidence("bundle")
    assert found.macro_f1 == {AS_RECORDED: found.outcome.score.macro_f1}
