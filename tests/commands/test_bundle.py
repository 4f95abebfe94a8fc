"""`hard bundle`: the screen of a bundle, and its verification."""

from __future__ import annotations

import re
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
from msgspec import structs

from hard.commands.bundle import WIDTH, main
from hard.model import bundle
from hard.model.figures import CrossValidation, FoldFigures, ShortFigures, UnknownActivity


def test_show_prints_a_screen_with_the_figures_of_the_model_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Namespace(action="show", dir=None)) == 0
    lines = capsys.readouterr().out.splitlines()
    folder = str(bundle.find())
    one_word = [line for line in lines if len(line.split()) < 3]  # a word isn't broken
    assert max(len(line) for line in lines if folder not in line and line not in one_word) <= WIDTH
    rows = dict(line.split("  ", 1) for line in lines)
    card = (bundle.find() / "README.md").read_text()
    for title, name in (
        ("Figures, validation", "figures, validation"),
        ("Figures, test", "figures, test"),
    ):
        found = re.search(rf"## {re.escape(title)}\n\n(\d+) windows. Accuracy ([.\d]+), macro-F1 (0.\d+)", card)
        assert found
        windows, accuracy, f1 = found.groups()
        assert rows[name].strip().startswith(f"macro-F1 {f1}, accuracy {accuracy} on {windows} windows")
    assert f"`labels.min_confidence`: **{rows['recommended'].split()[1].rstrip(',')}**" in card


def test_show_has_what_stands_beside_each_place_and_what_was_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(bundle.find(), tmp_path / "copy")
    manifest = bundle.read(tmp_path / "copy").manifest
    judged = manifest.training.metrics.test
    assert judged
    fold = structs.asdict(judged) | {"subjects": ("3",), "epoch": 3.0}
    crossed = CrossValidation(
        name="six", command="finetune.py --folds 6", seen_before=(), folds=(FoldFigures(**fold),), over_folds={},
        baselines_over_folds={}, pooled=judged, prompt_tokens=69, against={},
    )  # fmt: skip
    short = ShortFigures(windows=100, accuracy=0.8, macro_f1=0.812, calibration_error=0.1)
    pooled = structs.replace(
        crossed.pooled, beside={"two-pass": short}, macro_f1_by_place={"left wrist": 0.7, "arm": 0.9}
    )
    folds = tuple(
        structs.replace(crossed.folds[0], left_out=name, macro_f1=f1) for name, f1 in (("arm", 0.7), ("bag", 0.8))
    )
    unknown = {"Jogging": UnknownActivity(50, 0.8, 0.7, 0.834, 0.2)}
    metrics = structs.replace(
        manifest.training.metrics,
        cross_validation=structs.replace(crossed, pooled=pooled),
        left_out=(
            structs.replace(crossed, by="place", folds=folds),
            structs.replace(crossed, by="activity", unknown=unknown),
        ),
    )
    training = structs.replace(manifest.training, metrics=metrics)
    prompt = structs.replace(manifest.prompt, context=("place",))
    bundle.write(tmp_path / "copy", structs.replace(manifest, training=training, prompt=prompt, least_rate_hz=12.5))
    assert main(Namespace(action="show", dir=str(tmp_path / "copy"))) == 0
    rows = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert {name: rows[name].strip() for name in rows if "left out" in name or "cross-validation, " in name} == {
        "cross-validation, beside": "two-pass 0.812",
        "cross-validation, by place": "left wrist 0.700, arm 0.900",
        "left out, place": "arm 0.700, bag 0.800",
        "left out, activity": "Jogging (AUROC) 0.834",
    }
    assert (rows["least rate"].strip(), rows["context words"].strip()) == ("12.5 Hz", "place")


def test_verify_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Namespace(action="verify", dir=None)) == 0
    assert capsys.readouterr().out.endswith(" is sound\n")
    copy = tmp_path / "copy"
    shutil.copytree(bundle.find(), copy)
    (copy / "README.md").write_text("changed")
    assert main(Namespace(action="verify", dir=str(copy))) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("hard: ")
    assert "README.md" in captured.err
