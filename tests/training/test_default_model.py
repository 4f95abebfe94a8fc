"""The script that makes the shipped bundle, in a tiny form: from recordings to a bundle whose card has its commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from support.scripts import ROOT
from training.results.cross_validation import FoldsReport

from hard.model import bundle

SCRIPT = ROOT / "scripts" / "default_model.sh"
TINY = (
    *("--labels", "Walking|Jogging=Stairs", "--drop", "Lying", "--validation", "1", "--hop", "4", "--levels", "8"),
    *("--features", "v.std,m.q90,y.mean", "--epochs", "1", "--epoch-windows", "300", "--batch", "16", "--lr", "0.01"),
    "--no-baselines",
)


@pytest.fixture
def recordings(recording: Path, tmp_path: Path) -> Path:
    """As ../shared/data has them: one data set in m/s², others in mm/s² with places, stairs and lying."""
    folder = tmp_path / "data"
    for name in ("motionsense", "places"):
        (folder / name).mkdir(parents=True)
    text = recording.read_text()
    (folder / "motionsense" / "six.txt").write_text(text)
    rows = [line.rstrip(";").split(",") for line in text.replace("2,Jogging", "2,Stairs").splitlines()]
    lines = [
        ",".join((f"w{subject}", "Lying" if (subject, truth) == ("3", "Sitting") else truth, time, "wrist", *in_mm))
        for subject, truth, time, *xyz in rows
        for in_mm in [[f"{1000 * float(a):.0f}" for a in xyz]]
    ]
    (folder / "places" / "watch.csv").write_text("\n".join(["subject,truth,time,place,x,y,z", *lines]))
    return folder


@pytest.mark.slow
def test_one_command_leads_from_recordings_to_a_bundle(recordings: Path, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "FOLDS": "2 place", "REPORTS": str(tmp_path / "reports")}
    out = tmp_path / "default"
    command = [SCRIPT, recordings, out, *TINY]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    assert bundle.verify(out) == []
    manifest = bundle.read(out).manifest
    training = manifest.training
    assert manifest.name == "hard-default"
    assert training.refit
    assert len(training.subjects["train"]) == 12
    assert training.metrics.cross_validation
    assert [one.by for one in training.metrics.left_out] == ["place"]
    report = msgspec.json.decode((tmp_path / "reports" / "2" / "report.json").read_bytes(), type=FoldsReport)
    assert manifest.states == report.states is not None
    card = (out / "README.md").read_text()
    for piece in (training.command, "--folds 2 ", "--folds place ", "Worst place: **", "Worst person: **"):
        assert piece in card


def test_it_cross_validates_first_and_goes_on_after_an_interruption(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "REPORTS": str(tmp_path)}

    def commands() -> list[list[str]]:
        command = [SCRIPT, "data", tmp_path / "default", "--seed", "1"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return [line.split() for line in done.stdout.splitlines()]

    *crossed, last = begun = commands()
    assert [line[line.index("--folds") + 1] for line in crossed] == ["6", "dataset", "place", "activity"]
    assert [line[line.index("--out") + 1] for line in begun] == [
        *(str(tmp_path / name) for name in ("6", "dataset", "place", "activity")),
        str(tmp_path / "default"),
    ]
    assert last[last.index("--cross-validation") + 1 :] == [
        str(tmp_path / name) for name in ("6", "dataset", "place", "activity")
    ]
    assert all(line[line.index("--seed") + 1] == "1" and "--resume" not in line for line in begun)
    (tmp_path / "6" / "folds").mkdir(parents=True)
    (tmp_path / "default.work").mkdir()
    assert ["--resume" in line for line in commands()] == [True, False, False, False, True]


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (Debian: apt install shellcheck)")
    done = subprocess.run([shellcheck, SCRIPT], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_people_to_judge_by_stand_in_for_cross_validations(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOLDOUT": "3,dsads-2"}
    done = subprocess.run(
        [SCRIPT, "data", tmp_path / "default"], check=True, capture_output=True, text=True, env=environment
    )
    (command,) = done.stdout.splitlines()
    assert "--holdout 3,dsads-2" in command
    assert "--refit" not in command
