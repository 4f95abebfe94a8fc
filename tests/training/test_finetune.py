"""From recordings to a bundle that serves, as a person runs it; and nothing is left where it fails."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from support.checkpoints import save_random_checkpoint
from support.scripts import ROOT, script
from training import finetune
from training.options import Options
from training.recipe import finalise
from training.results.acceptance import requirements
from training.results.trial import Trial, metrics_of
from training.resume import work_path

from hard import cli
from hard.model import bundle
from hard.model.classifier import load
from hard.recordings import recordings
from hard.recordings.default_rules import bundle_devices

MOTIONSENSE = ROOT.parent / "shared" / "data" / "motionsense" / "motionsense_50hz_raw.txt.xz"
QUICK = ("--holdout", "5,6", "--validation", "1", "--epochs", "4", "--batch", "16", "--threads", "1")
FEW = ("--features", "v.std,v.freq,m.q90,h.e2,tilt.cos,y.mean", "--levels", "8", "--copies", "1")


def check_serves(out: Path, recording: Path, at_least: float, hop_s: float = 1.0) -> None:
    """Both backends serve the bundle, agree, and know subjects 5 and 6."""
    assert bundle.verify(out) == []
    found, manifest = [], bundle.read(out).manifest
    test = manifest.training.metrics.parts["test"]
    runs = [run for run in recordings.read(recording)[0] if run.subject in ("5", "6")]
    devices = bundle_devices(bundle.read(out), hop_s)
    labelled = [one for one in recordings.windows(runs, devices) if one.truth]
    windows, truth = [one.window for one in labelled], [one.truth for one in labelled]
    for backend in ("onnx", "torch"):
        predictions = load(str(out), backend).classify(windows)  # type: ignore[arg-type]
        found.append(np.stack([p.probabilities for p in predictions]))
        right = [p.label == t for p, t in zip(predictions, truth, strict=True)]
        slack = 1e-4 if backend == "onnx" else 0.01  # what was measured may be int8
        assert np.mean(right) == pytest.approx(test.accuracy, abs=slack)
    # The compiled scorer may be served in int8; in fp32 it is torch's.
    exact, rough = (load(out, precision=p).classify(windows) for p in ("fp32", "int8"))
    np.testing.assert_allclose(np.stack([p.probabilities for p in exact]), found[1], atol=1e-4)
    np.testing.assert_allclose(np.stack([p.probabilities for p in rough]), found[1], atol=0.25)
    served = rough if manifest.precision == "int8" else exact
    np.testing.assert_array_equal(found[0], np.stack([p.probabilities for p in served]))
    assert manifest.int8 is not None
    lost = manifest.int8.macro_f1_fp32 - manifest.int8.macro_f1
    assert (manifest.precision == "int8") == (lost <= 0.002 and manifest.int8.speed >= 1.5)
    assert test.windows == len(windows)
    assert test.accuracy >= at_least


def test_scratch_and_compact(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "tiny"
    done = script("finetune.py", recording, "--out", out, *QUICK, *FEW, "--lr", "0.01")
    assert done.returncode == 0, done.stderr[-2000:]
    for piece in ("6 subjects", "rejected records: none", "precision fp32: ", "test subjects: accuracy", "worst"):
        assert piece in done.stdout
    check_serves(out, recording, 0.8)
    manifest = bundle.read(out).manifest
    assert f"finetune.py {recording.name} --out" in manifest.training.command  # no folder of this machine in a card
    assert f"| Epochs | {manifest.training.epochs:g} |" in (out / "README.md").read_text()
    assert manifest.name == "tiny"
    assert manifest.training.subjects["test"] == ["5", "6"]
    assert manifest.states is not None
    assert manifest.familiarity is not None
    assert 0 < manifest.familiarity.min_familiar < 0.1
    by_rate = dict(manifest.training.metrics.macro_f1_by_rate)
    assert manifest.least_rate_hz
    assert by_rate[manifest.least_rate_hz] >= max(by_rate.values()) - 0.02
    assert by_rate[6.0] == 0.0  # too far apart for a window
    assert f"The least rate at which it is good: **{manifest.least_rate_hz:g} Hz**." in (out / "README.md").read_text()
    assert "states: stay " in done.stdout
    assert manifest.training.metrics.parts["test"].beside["states, 2 s later"].windows == 3 * 22 * 2
    assert manifest.training.command.startswith("python scripts/finetune.py ")
    page = (out / "README.md").read_text()
    assert "| states, 2 s later | 132 |" in page
    assert manifest.training.command in page
    assert "| Sitting |" in page
    checked = script("evaluate.py", out, recording, "--subjects", "5,6", "--backend", "torch")
    assert checked.returncode == 0, checked.stderr[-2000:]
    shown = re.search(r"accuracy ([\d.]+), macro-F1 ([\d.]+) on (\d+) windows", checked.stdout)
    assert shown
    assert float(shown[2]) == pytest.approx(manifest.training.metrics.parts["test"].macro_f1, abs=1e-3)
    assert "LEAKY" not in checked.stdout
    renamed = tmp_path / "other.txt"
    renamed.write_bytes(recording.read_bytes())
    assert "LEAKY: this bundle was trained on" in script("evaluate.py", out, renamed).stdout


@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")  # accelerate's habit on a machine without a GPU
def test_a_run_gives_its_bundle_and_keeps_its_trial(recording: Path, tmp_path: Path) -> None:
    options = Options(
        data=(recording,), out=tmp_path / "model", holdout=("5", "6"), validation=1, epochs=2, batch=16, lr=0.01,
        features=("v.std", "m.q90", "y.mean"), levels=8, copies=1, baselines=False, threads=1,
    )  # fmt: skip
    printed = io.StringIO()
    made = finetune.run(finalise(options), Console(file=printed, width=200), keep=tmp_path / "trial.npz")
    assert made == bundle.read(tmp_path / "model")
    trial = Trial.load(tmp_path / "trial.npz")
    assert metrics_of(trial) == made.manifest.training.metrics
    assert trial.parts.keys() == {"validation", "test"}
    assert f"wrote {tmp_path / 'model'}" in printed.getvalue()
    assert not work_path(tmp_path / "model").exists()


def cli_lines(capfd: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    capfd.readouterr()
    assert cli.main(list(arguments)) == 0
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_two_places_a_merged_label_and_one_to_leave_out(
    recording: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The second file's people wear it elsewhere and at times do one of two things; their lying down is left out."""
    lines = recording.read_text()
    other = tmp_path / "watch.txt"
    renamed = lines.replace("Jogging", "Moving").replace("5,Sitting", "5,Lying")
    other.write_text("\n".join("w" + line for line in renamed.splitlines()))
    out = tmp_path / "both"
    labels = ("--labels", "Walking|Jogging=Moving", "--drop", "Lying")
    places = ("--place", "watch.txt=left wrist", "--place", "six.txt=pocket")
    quick = (
        "--holdout",
        "5,w5",
        "--validation",
        "2",
        *QUICK[4:],
        *FEW,
        "--lr",
        "0.01",
        "--epoch-windows",
        "900",
        "--context",
        "place",
    )
    done = script("finetune.py", recording, other, "--out", out, *labels, *places, *quick)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "900 drawn an epoch" in done.stdout
    assert "macro-F1 by place pocket: " in done.stdout
    manifest = bundle.read(out).manifest
    assert manifest.labels == ("Walking", "Jogging", "Sitting")
    test = manifest.training.metrics.parts["test"]
    assert test.macro_f1_by_place.keys() == test.beside["states"].macro_f1_by_place.keys() == {"pocket", "left wrist"}
    assert test.windows == 3 * 22 + 2 * 22
    assert test.accuracy > 0.8
    dropped = manifest.training.metrics.dropped
    assert {name: found.windows for name, found in dropped.items()} == {"Lying": 22, "Lying, wrist": 22}
    assert "| Lying, wrist | 22 | " in (out / "README.md").read_text()
    assert "recordings in g" in manifest.training.metrics.abstaining.no_activity
    assert manifest.prompt.context == ("place",)
    heard = ["label", str(other), "--bundle", str(out), "--subjects", "w5"]
    stated, not_stated = (cli_lines(capfd, *heard, *place) for place in (("--place", "wrist"), ()))
    assert [line["probabilities"] for line in stated] != [line["probabilities"] for line in not_stated]
    assert len(stated) == len(not_stated)
    assert test.beside["with the place stated"].windows == test.windows
    assert (
        "| place | macro-F1 | with the place stated | states | states, 2 s later |" in (out / "README.md").read_text()
    )
    assert "| **left wrist** (worst) |" in (page := (out / "README.md").read_text()) or "| **pocket** (worst) |" in page


@pytest.mark.slow
def test_the_seed_s_recipe_meets_every_requirement(recording: Path, tmp_path: Path) -> None:
    """FLAN-T5's architecture with random weights, the seed prompt, batch 8 × 2, Adafactor."""
    base, out = tmp_path / "tiny-flan", tmp_path / "flan"
    save_random_checkpoint(base, vocabulary=300, d_model=64, d_ff=128, d_kv=16, num_heads=4)
    options = ("--prompt", "seed", "--hop", "0.25", "--no-baselines", *QUICK[:4], "--threads", "1", "--epochs", "4")
    done = script("finetune.py", recording, "--out", out, "--base", base, *options)
    assert done.returncode == 0, done.stderr[-2000:]
    check_serves(out, recording, 0.7, hop_s=0.25)
    manifest = bundle.read(out).manifest
    assert manifest.name == "tiny-flan-seed"
    metrics = manifest.training.metrics
    assert metrics.losses
    training, validation = metrics.losses.training, metrics.losses.validation
    assert len(training) == len(validation) == 4
    assert all(loss and 0 < loss < float("inf") for loss in (*training, *validation, metrics.losses.test))
    assert [requirement.met for requirement in requirements(metrics)] == ["yes", "yes", "yes", "", "yes"]
    assert {sample.generated for sample in metrics.samples} <= set(manifest.labels)
    for requirement in requirements(metrics):
        assert f"| {requirement.name} | {requirement.shown} |" in (out / "README.md").read_text()
        assert requirement.name in done.stdout
    for file in out.iterdir():
        assert str(tmp_path.parent) not in file.read_bytes().decode(errors="replace").replace(
            manifest.training.command, ""
        )


def test_a_nan_fails_the_run_and_leaves_no_bundle(
    recording: Path, tiny_flan: Callable[..., Path], tmp_path: Path
) -> None:
    def spoil(model: Any) -> None:
        model.shared.weight.data[5] = float("nan")
        model.encoder.block[0].layer[0].layer_norm.weight.data[0] = float("nan")

    out = tmp_path / "nan"
    done = script("finetune.py", recording, "--out", out, "--base", tiny_flan(spoil), "--prompt", "seed", *QUICK)
    assert done.returncode == 1
    assert "finetune.py: the loss is nan at step 1: " in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--precision", "fp16"), "fp16 is refused"),
        (("--holdout", "77"), "subject '77' of --holdout is not in the data"),
        (("--max-tokens", "5", *FEW), "a prompt has 7 tokens, over the limit of 5"),
        (("--features", "v.std,no.such"), "there is no feature 'no.such'"),
        (("--prompt", "seed", "--features", "v.std"), "leave --features out"),
        (("--split", "time", "--holdout", "3"), "--split time has every subject in every part: leave --holdout out"),
        (("--split", "time", "--validation", "1"), "leave --validation out"),
        (("--split", "random", "--holdout", "3"), "--split random parts windows, not people: leave --holdout out"),
        (("--length-s", "4.01"), "not a whole number of grid points"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    import finetune as command

    assert command.main([str(recording), "--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("finetune.py: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--epochs", "0"), "--epochs must be 1 or more"),
        (("--batch", "0"), "--batch must be 1 or more"),
        (("--accumulate", "0"), "--accumulate must be 1 or more"),
        (("--lr", "-1"), "--lr must be above 0"),
        (("--lr", "nan"), "--lr must be above 0"),
        (("--label-smoothing", "2"), "--label-smoothing must be 0 or more, at most 0.99, not 2"),
        (("--word-dropout", "-0.1"), "--word-dropout must be 0 or more"),
        (("--outliers", "1.5"), "--outliers must be 0 or more, at most 1"),
        (("--copies", "-1"), "--copies must be 0 or more"),
        (("--patience", "0"), "--patience must be 1 or more"),
        (("--time-limit", "-1"), "--time-limit must be above 0"),
        (("--seed", "-1"), "--seed must be 0 or more"),
        (("--threads", "-1"), "--threads must be 0 or more"),
        (("--levels", "200"), "--levels must be 2 or more, at most 100, not 200"),
        (("--rate", "4"), "windows that are no activity need --rate 8 or more: add --outliers 0"),
        (("--folds", "3", "--jobs", "0"), "--jobs must be 1 or more, not 0"),
    ],
)
def test_a_number_out_of_range_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    import finetune as command

    assert command.main([str(tmp_path / "none.txt"), "--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("finetune.py: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--hop", "--recorded-hz"])
@pytest.mark.parametrize("number", ["0", "-1", "nan", "inf", "1e-9"])
def test_a_hop_or_rate_of_nothing_is_refused(option: str, number: str, capsys: pytest.CaptureFixture[str]) -> None:
    import evaluate

    with pytest.raises(SystemExit) as caught:
        evaluate.main(["default", "none.txt", option, number])
    assert caught.value.code == 2
    assert f"argument {option}: must be 0.001 to 100000, not {number}" in capsys.readouterr().err


def test_a_folder_that_is_no_bundle_is_not_overwritten(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = script("finetune.py", recording, "--out", tmp_path, *QUICK)
    assert done.returncode == 2
    assert "exists and is no bundle" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_the_default_bundle_is_sound_and_small() -> None:
    path = bundle.find()
    assert bundle.verify(path) == []
    assert sum(file.stat().st_size for file in path.iterdir()) <= 5e6
    manifest = bundle.read(path).manifest
    subjects = manifest.training.subjects
    assert [len(subjects[part]) for part in ("train", "validation", "test")] == [71, 12, 15]
    assert len({subject for part in subjects.values() for subject in part}) == 98
    judged = manifest.training.metrics.test
    assert judged
    assert judged.macro_f1 >= 0.86
    assert manifest.states
    assert manifest.familiarity
    assert len(manifest.prompt.features) <= 68
    for name in ("README.md", "hard.json"):  # of the machine that it was made on, nothing
        assert not re.search(r"[ \"]/\w", (path / name).read_text()), name


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_the_default_bundle_holds_what_its_card_says(backend: str) -> None:
    if not MOTIONSENSE.exists():
        pytest.skip("the MotionSense recordings are not beside this repository")
    people = ("3", "9", "15")  # whom it was judged by
    done = script(
        "evaluate.py", bundle.find(), MOTIONSENSE, "--backend", backend, "--hop", "2", "--subjects", ",".join(people)
    )
    assert done.returncode == 0, done.stderr[-2000:]
    judged = bundle.read().manifest.training.metrics.test
    assert judged
    for subject in people:
        shown = re.search(rf"macro-F1 by subject .*\b{subject}: ([\d.]+)", done.stdout)
        assert shown
        assert float(shown[1]) == pytest.approx(judged.macro_f1_by_subject[subject], abs=2e-3)
    assert "LEAKY" not in done.stdout


def test_help_needs_no_torch() -> None:
    for name in ("finetune.py", "evaluate.py"):
        done = subprocess.run(
            [sys.executable, "-X", "importtime", str(ROOT / "scripts" / name), "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert " torch" not in done.stderr
