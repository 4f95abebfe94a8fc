"""The report, from the commands that people type: folds, a leaky split, and a bundle evaluated elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hard.model import bundle

REPOSITORY = Path(__file__).resolve().parents[3]
TINY = ("--features", "v.std,v.freq,m.q90,h.e2,tilt.cos,y.mean", "--levels", "8", "--copies", "1", "--lr", "0.01")
QUICK = ("--validation", "1", "--epochs", "2", "--batch", "16", "--threads", "1", *TINY)


def script(name: str, *arguments: str | Path) -> str:
    """Runs a script as from a clone, with this `hard`; gives what it printed."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"},
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_folds_then_a_model_trained_on_everybody(recording: Path, tmp_path: Path) -> None:
    crossed, out = tmp_path / "crossed", tmp_path / "all"
    told = script("finetune.py", recording, "--out", crossed, "--folds", "3", "--jobs", "2", *QUICK)
    report = json.loads((crossed / "report.json").read_text())
    assert sorted(s for fold in report["folds"] for s in fold["subjects"]) == list("123456")
    assert set(report["against"]) == {"majority", "boosting, mean and std", "boosting, same features", "CNN"}
    assert report["against"]["majority"]["verdict"] == "above"
    assert "majority: above" in told
    assert bundle.verify(crossed / "folds" / "2") == []
    (crossed / "folds" / "2.npz").unlink()
    again = script("finetune.py", recording, "--out", crossed, "--folds", "3", "--jobs", "2", "--resume", *QUICK)
    assert "fold 2 (" in again
    assert "fold 1 (" not in again
    assert json.loads((crossed / "report.json").read_text())["pooled"] == report["pooled"]
    script("finetune.py", recording, "--out", out, "--refit", "--cross-validation", crossed, *QUICK)
    assert bundle.verify(out) == []
    metrics = bundle.read(out).manifest.training.metrics
    assert metrics["cross_validation"]["pooled"] == report["pooled"]
    assert metrics["abstaining"]["min_confidence"] == report["abstaining"]["min_confidence"]
    card = (out / "README.md").read_text()
    assert "3 models of the same recipe" in card
    assert "## Figures, train (LEAKY, the weights learnt from these)" in card
    epochs = bundle.read(out).manifest.training.epochs
    assert (
        f"after epoch {metrics['epoch']:g}, its best. This one learnt from them too, for {epochs:g} epochs: as" in card
    )
    assert "plan" not in metrics["cross_validation"]
    told = script("evaluate.py", out, recording)
    assert f"macro-F1 {metrics['train']['macro_f1']:.3f} on {metrics['train']['windows']} windows" in told
    assert "LEAKY: this bundle was trained on" in told


def test_a_random_split_marks_all_that_comes_of_it(recording: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "leaky", tmp_path / "report"
    told = script("finetune.py", recording, "--out", out, "--split", "random", "--no-baselines", *QUICK[2:])
    assert "test subjects (LEAKY, windows split at random): accuracy" in told
    card = (out / "README.md").read_text()
    assert card.startswith("# leaky (LEAKY, windows split at random)")
    assert "## Figures, test (LEAKY" in card
    training = bundle.read(out).manifest.training
    assert training.split == "random"
    assert "test" in training.metrics
    assert "LEAKY" not in json.dumps(training.metrics)
    told = script("evaluate.py", out, recording, "--subjects", "5", "--out", report, "--changed")
    assert "LEAKY: this bundle was trained on the subjects 5, windows split at random" in told
    assert (report / "README.md").read_text().partition("\n")[0].endswith("(LEAKY)")
    assert json.loads((report / "report.json").read_text())["seen_before"] == ["5"]
    reached = json.loads((report / "report.json").read_text())["conditions"]
    assert {"as recorded", "turned anyhow", "20 Hz, polled"} <= reached.keys()
    assert abs(reached["turned anyhow"] - reached["as recorded"]) <= 0.02
    assert "| turned anyhow | " in (report / "README.md").read_text()
