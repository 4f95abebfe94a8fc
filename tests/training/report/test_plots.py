"""The pictures of a card: small, and the same from the same figures."""

from pathlib import Path

from support.trials import outcome, trial
from training.report import plots


def test_all_pictures_are_written_small_and_alike(tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        plots.draw(folder, outcome(("1", "2"), 0.9), [trial(("1",), 0.9).history], 0.8, "test subjects")
    for name in plots.ALL:
        drawn = (tmp_path / "one" / name).read_bytes()
        assert 2_000 < len(drawn) < 40_000
        assert drawn == (tmp_path / "two" / name).read_bytes()


def test_without_a_training_there_are_no_loss_curves(tmp_path: Path) -> None:
    plots.draw(tmp_path, outcome(("1",), 0.9), [], 0.8, "evaluation")
    assert {path.name for path in tmp_path.iterdir()} == set(plots.ALL) - {plots.LOSSES}
