"""`hard label`: one JSON object a window, truth where it is known, the score, what is refused."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.familiar import familiar_bundle

from hard import cli
from hard.model.classifier import load
from hard.recordings import recordings
from hard.recordings.default_rules import bundle_devices
from hard.simulator import Wearer

ROOT = Path(__file__).resolve().parents[2]
Lines = list[dict[str, Any]]


def record(path: Path, wearers: dict[str, Sequence[str]], *, seconds: int = 40, unit: float = 1.0) -> Path:
    """A WISDM file of simulated wearers at 50 Hz; `unit` divides the accelerations."""
    with path.open("w") as file:
        for seed, (subject, among) in enumerate(wearers.items()):
            motion = Wearer(seed, 50.0, start=100.0, among=among).take(50 * seconds)
            for t, (x, y, z), truth in zip(motion.time, (motion.xyz / unit).tolist(), motion.activity, strict=True):
                file.write(f"{subject},{truth},{round(t * 1e9)},{x:.6f},{y:.6f},{z:.6f};\n")
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return record(tmp_path / "recording.txt", {"a": ("Walking", "Standing"), "b": ("Jogging",)})


def label(capfdbinary: pytest.CaptureFixture[bytes], *arguments: object) -> tuple[Lines, str]:
    """The objects printed by `hard label`, and its standard error."""
    code = cli.main(["label", *map(str, arguments)])
    out, err = capfdbinary.readouterr()
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()], err.decode()


def test_one_object_a_window(recording: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    lines, err = label(capfdbinary, recording)
    assert err == ""
    labels, least = load().labels, load().bundle
    assert [line["subject"] for line in lines] == ["a"] * 37 + ["b"] * 37
    assert [line["start"] for line in lines[:37]] == pytest.approx(np.arange(100, 137))
    for line in lines:
        assert set(line) - {"truth"} == {
            *("subject", "place", "start", "end", "window_id", "label", "confidence", "familiar", "accepted", "parent"),
            "probabilities",
        }  # fmt: skip
        assert line["end"] - line["start"] == pytest.approx(4)
        assert tuple(line["probabilities"]) == labels
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert line["label"] == max(line["probabilities"], key=line["probabilities"].get)
        assert line["confidence"] == line["probabilities"][line["label"]]
        assert line["accepted"] is (
            line["confidence"] >= least.min_confidence("bundle") and line["familiar"] >= least.min_familiar("bundle")
        )
    assert {line["truth"] for line in lines[37:]} == {"Jogging"}
    without = [i for i, line in enumerate(lines[:37]) if "truth" not in line]
    assert without, "a window over a change has no truth"
    assert len(without) <= 4 * 3


def test_labels_are_those_of_the_classifier_for_the_daemons_windows(
    recording: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    lines, _ = label(capfdbinary, recording, "--hop", "0.5")
    classifier = load()
    runs, _ = recordings.read(recording)
    devices = bundle_devices(classifier.bundle, 0.5)
    windows = [one.window for one in recordings.windows(runs, devices)]
    assert len(lines) == len(windows) == 2 * 73
    for line, prediction in zip(lines, classifier.classify(windows), strict=True):
        assert line["start"] == pytest.approx(prediction.window.start, abs=1e-6)
        np.testing.assert_allclose(list(line["probabilities"].values()), prediction.probabilities, atol=1e-5)


def test_a_window_is_labelled_as_the_daemon_would_then_and_in_two_passes_on_request(
    recording: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    streamed, err = label(capfdbinary, recording, "--score", "--subjects", "a")
    assert label(capfdbinary, recording, "--streaming", "--subjects", "a")[0] == streamed
    twice, _ = label(capfdbinary, recording, "--two-pass", "--subjects", "a")
    assert [line["window_id"] for line in twice] == [line["window_id"] for line in streamed]
    assert [line["probabilities"] for line in twice] != [line["probabilities"] for line in streamed]
    assert " before the mounting was learnt: accuracy " in err
    assert " after: accuracy " in err


def test_a_subject_s_places_are_labelled_apart(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    motion = Wearer(0, 50.0, start=100.0, among=("Walking",)).take(500)
    rows = [
        f"{t},{x},{y},{z},1,{place}"
        for t, (x, y, z) in zip(motion.time, motion.xyz.tolist(), strict=True)
        for place in ("wrist", "left knee")
    ]
    path = tmp_path / "places.csv"
    path.write_text("\n".join(["t,x,y,z,subject,place", *rows]))
    lines, _ = label(capfdbinary, path)
    assert {(line["subject"], line["place"]) for line in lines} == {("1", "wrist"), ("1", "left knee")}
    assert {line["window_id"].partition(":")[0] for line in lines} == {"1@wrist", "1@left-knee"}


def test_min_familiar_decides_too(recording: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    made = familiar_bundle(tmp_path / "bundle", min_familiar=0.5)
    options = ("--bundle", str(made.path), "--min-confidence", "0")
    lines, _ = label(capfdbinary, recording, *options)
    shares = [line["familiar"] for line in lines]
    assert [line["accepted"] for line in lines] == [share >= 0.5 for share in shares]
    middle = float(np.mean(sorted(set(shares))[len(set(shares)) // 2 - 1 :][:2]))  # between two, for they are rounded
    lines, _ = label(capfdbinary, recording, *options, "--min-familiar", str(middle))
    assert {line["accepted"] for line in lines} == {False, True}
    assert all(line["accepted"] == (line["familiar"] >= middle) for line in lines)


def test_a_stated_place_stands_where_the_recording_has_none(
    recording: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    lines, err = label(capfdbinary, recording, "--place", "Left wrist")
    assert {line["place"] for line in lines} == {"wrist"}
    assert err == ""
    lines, err = label(capfdbinary, recording, "--place", "neck")
    assert {line["place"] for line in lines} == {None}
    assert err.startswith("hard: --place: 'neck' is none of pocket, ")


def test_a_merged_truth_is_scored_for_labels_and_states_and_another_is_dropped(
    recording: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    asked = ("--labels", "Walking|Jogging=Jogging", "--drop", "Standing", "--score", "--subjects", "a,b")
    lines, err = label(capfdbinary, recording, *asked)
    assert {line.get("truth") for line in lines} == {"Walking", "Walking|Jogging", None}
    assert "\n37 windows of one of several labels: accuracy 1.0000\n" in err
    _, err = label(capfdbinary, recording, *asked, "--states")
    assert "\n37 windows of one of several labels: accuracy " in err


def test_score_goes_to_stderr(recording: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    lines, err = label(capfdbinary, recording, "--score", "--subjects", "b")
    assert {line["subject"] for line in lines} == {"b"}
    right = sum(line["label"] == "Jogging" for line in lines) / len(lines)
    assert f"37 windows of one known truth: accuracy {right:.4f}, macro-F1 " in err
    assert err.splitlines()[2].startswith("Jogging")


def test_a_score_on_people_that_the_bundle_learnt_from_says_so(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = record(tmp_path / "motionsense_50hz_raw.txt", {"1": ("Walking",), "nobody": ("Walking",)})
    known = path.rename(tmp_path / "motionsense_50hz_raw.txt.xz")
    known.write_bytes(lzma.compress(known.read_bytes()))
    _, err = label(capfdbinary, known, "--score")
    assert err.endswith("LEAKY: this bundle was trained on the subjects 1; the figures say nothing about others\n")
    assert "LEAKY" not in label(capfdbinary, known, "--score", "--subjects", "nobody")[1]
    assert "LEAKY" not in label(capfdbinary, known)[1]


def test_a_truth_that_is_no_label_stays_and_counts_as_wrong(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = record(tmp_path / "r.txt", {"a": ("Jogging",), "b": ("Walking",)})
    path.write_text(path.read_text().replace("Jogging", "Running"))
    lines, err = label(capfdbinary, path, "--score")
    assert {line["truth"] for line in lines} == {"Running", "Walking"}
    assert "accuracy 0." in err


def test_truths_are_labels_whatever_their_case_or_as_paired_else_a_score_is_refused(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = record(tmp_path / "r.txt", {"a": ("Jogging",)})
    _, expected = label(capfdbinary, path, "--score")
    path.write_text(path.read_text().replace("Jogging", "jogging"))
    lines, err = label(capfdbinary, path, "--score")
    assert {line["truth"] for line in lines} == {"Jogging"}
    assert err == expected
    path.write_text(path.read_text().replace("jogging", "run"))
    assert label(capfdbinary, path, "--score", "--labels", "Jogging=run")[1] == expected
    assert cli.main(["label", str(path), "--score"]) == 2
    assert b"truths (run) are none of the bundle's labels (Walking, " in (refusal := capfdbinary.readouterr().err)
    assert refusal.endswith(b": pair them with --labels Walking=NAME\n")
    assert {line["truth"] for line in label(capfdbinary, path)[0]} == {"run"}


def test_a_rate_that_the_times_contradict_and_one_too_slow_for_a_window_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "slow.csv"
    path.write_text("t,x,y,z\n" + "".join(f"{i / 5},0,9.8,0\n" for i in range(200)))
    assert cli.main(["label", str(path), "--rate", "50"]) == 2
    assert "its times show 5 Hz, not 50 Hz: leave --rate out" in capsys.readouterr().err
    assert cli.main(["label", str(path)]) == 2
    assert "it has 5 samples a second, and a window needs at least 6.67" in capsys.readouterr().err


def test_units_compression_and_csv_make_no_difference(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    expected, _ = label(capfdbinary, record(tmp_path / "r.txt", {"a": ("Walking",)}))
    in_g, _ = label(capfdbinary, record(tmp_path / "g.txt", {"a": ("Walking",)}, unit=9.80665), "--unit", "g")
    rows = [line.rstrip(";\n").split(",") for line in (tmp_path / "r.txt").read_text().splitlines()]
    csv = tmp_path / "a.csv"
    csv.write_text("x,y,z,label\n" + "".join(f"{x},{y},{z},{truth}\n" for _, truth, _, x, y, z in rows))
    untimed, _ = label(capfdbinary, csv, "--rate", "50")
    assert cli.main(["label", str(tmp_path / "g.txt")]) == 2
    assert b"which looks like g, not m/s2: say --unit g, or " in capfdbinary.readouterr().err
    assert [line["label"] for line in expected] == [line["label"] for line in in_g]
    assert [line["label"] for line in expected] == [line["label"] for line in untimed]
    assert [line["start"] for line in untimed] == pytest.approx(np.arange(37))
    assert untimed[0]["subject"] == "a"


def test_min_confidence_decides_what_is_accepted(recording: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    found = sorted({line["confidence"] for line in label(capfdbinary, recording)[0]})
    middle = float(np.mean(found[len(found) // 2 - 1 :][:2]))  # between two, for they are rounded
    lines, _ = label(capfdbinary, recording, "--min-confidence", str(middle), "--min-familiar", "0")
    assert {line["accepted"] for line in lines} == {True, False}
    assert all(line["accepted"] == (line["confidence"] >= middle) for line in lines)


def test_it_prints_what_was_rejected_and_when_no_run_is_long_enough(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = record(tmp_path / "r.txt", {"a": ("Walking",)}, seconds=3)
    path.write_text(path.read_text() + "11,Walking,1867172313000,4.4,4.4,;\n")
    assert cli.main(["label", str(path)]) == 2
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert "rejected 1 × not a number" in err.decode()
    assert "no run is long enough for a window of 4 s" in err.decode()


def test_what_it_cannot_do_is_refused(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["label", str(recording), "--subjects", "a,zoe"]) == 2
    assert capsys.readouterr().err.endswith("has no subject zoe; it has a, b\n")
    bare = tmp_path / "bare.csv"
    bare.write_text("t,x,y,z\n" + "".join(f"{i / 20},0,9.8,0\n" for i in range(200)))
    assert cli.main(["label", str(bare), "--score"]) == 2
    assert capsys.readouterr().err.endswith("has no truth to score against\n")
    bare.write_text("x,y,z\n" + "0,9.8,0\n" * 200)
    assert cli.main(["label", str(bare)]) == 2
    assert capsys.readouterr().err.endswith("has no times, so the sample rate must be given (--rate)\n")
    bare.write_text("time,x,y,z\n" + "".join(f"2.11.2026 12:{i % 60},0,9.8,0\n" for i in range(200)))
    assert cli.main(["label", str(bare)]) == 2
    assert capsys.readouterr().err.endswith(
        "none of its times can be read (first line 2, '2.11.2026 12:0'), so the sample rate must be given (--rate)\n"
    )
    assert cli.main(["label", str(recording), "--bundle", str(tmp_path)]) == 2
    assert "hard.json can't be read" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error(recording: Path) -> None:
    program = f"{sys.executable} -m hard label {recording} --hop 0.02 | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {program}"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["subject"] == "a"


def test_columns_can_be_named(recording: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    own = tmp_path / "own.csv"
    rows = [line.rstrip(";").split(",") for line in recording.read_text().splitlines()]
    own.write_text(
        "\n".join(["Time (ms),acc X,acc Y,acc Z,who,doing"]
                  + [f"{int(t) / 1e6},{x},{y},{z},{subject},{truth}" for subject, truth, t, x, y, z in rows])
    )  # fmt: skip
    named = "time=Time (ms),x=acc X,y=acc Y,z=acc Z,subject=who,truth=doing"
    lines, _ = label(capfdbinary, own, "--columns", named)
    default, _ = label(capfdbinary, recording)
    assert [(line["subject"], line["label"], line.get("truth")) for line in lines] == [
        (line["subject"], line["label"], line.get("truth")) for line in default
    ]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("x=acc Q,y=acc Y", "has no column 'acc Q'; it has t, ax, ay, az"),
        ("colour=ax", "'colour' is none of time, x, y, z, subject, place, truth"),
        ("x", "'x' is not of the form name=name"),
    ],
)
def test_a_column_that_is_not_there_is_refused_in_one_sentence(columns: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("t,ax,ay,az\n0.0,1,2,9\n0.02,1,2,9\n")
    done = subprocess.run(
        [sys.executable, "-m", "hard", "label", str(tmp_path / "own.csv"), "--columns", columns],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(sentence)
    assert "Traceback" not in done.stderr


def test_states_are_one_object_a_change_and_are_scored_window_by_window(
    recording: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    plain, _ = label(capfdbinary, recording)
    lines, err = label(
        capfdbinary, recording, "--states", "--lag", "2", "--min-confidence", "0", "--min-familiar", "0", "--score"
    )
    assert 4 <= len(lines) < len(plain)
    for line in lines:
        assert list(line) == ["subject", "place", "from", "to", "at", "confidence"]
        assert line["place"] is None
    for subject in "ab":
        own = [line for line in lines if line["subject"] == subject]
        assert [line["from"] for line in own] == [None, *(line["to"] for line in own[:-1])]
        assert [line["at"] for line in own] == sorted(line["at"] for line in own)
        assert (own[-1]["to"], own[-1]["confidence"]) == ("unknown", 0.0)
        assert own[-1]["at"] == max(line["end"] for line in plain if line["subject"] == subject)
    scored = sum("truth" in line for line in plain)
    assert f"{scored} windows of one known truth: accuracy " in err
    assert "states at 2 s lag; " in err


def test_smoothing_is_the_filter_unless_majority_is_asked_for(
    recording: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    filtered, voted, default = (
        label(capfdbinary, recording, "--states", *how)[0]
        for how in (("--smoothing", "filter"), ("--smoothing", "majority"), ())
    )
    assert filtered == default
    assert [line["confidence"] for line in filtered] != [line["confidence"] for line in voted]


@pytest.mark.parametrize("lag", ["-1", "61", "x"])
def test_a_lag_out_of_range_is_refused(lag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["label", "recording.txt", "--states", "--lag", lag])
    assert "--lag" in capsys.readouterr().err
