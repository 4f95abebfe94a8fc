"""`hard bundle`: the screen of a bundle, and its verification."""

from __future__ import annotations

import re
import shutil
from argparse import Namespace
from pathlib import Path

import pytest

from hard.commands.bundle import WIDTH, main
from hard.model import bundle


def test_show_prints_a_screen_with_the_figures_of_the_model_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Namespace(action="show", dir=None)) == 0
    lines = capsys.readouterr().out.splitlines()
    folder = str(bundle.find())
    assert max(len(line) for line in lines if folder not in line) <= WIDTH
    rows = dict(line.split("  ", 1) for line in lines)
    card = (bundle.find() / "README.md").read_text()
    for title, name in (
        ("Figures, validation", "figures, validation"),
        ("Figures, train (LEAKY, the weights learnt from these)", "figures, train"),
        ("Cross-validation, all test windows together", "figures, cross-validation"),
    ):
        found = re.search(rf"## {re.escape(title)}\n\n(\d+) windows. Accuracy ([.\d]+), macro-F1 (0.\d+)", card)
        assert found
        windows, accuracy, f1 = found.groups()
        assert rows[name].strip().startswith(f"macro-F1 {f1}, accuracy {accuracy} on {windows} windows")
    assert f"`labels.min_confidence`: **{rows['recommended'].split()[-1]}**" in card


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
