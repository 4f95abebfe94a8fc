"""A model becomes a bundle; its states are those of the cross-validation where there is one."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support.trials import trial
from training.data import dataset, loading
from training.errors import StoppedError
from training.export import export
from training.loop.trained import Trained
from training.model.setup import examples_of, set_up, training_examples
from training.options import Options, Source
from training.recipe import finalise
from training.results.cross_validation import summary
from training.sealing import FinetuneRun, Fitted, seal

from hard.model import bundle
from hard.model.bundle import even_states


def test_states_are_of_the_validation_people_or_of_the_folds(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(data=(recording,), out=tmp_path / "m", features=("v.std", "y.mean"), levels=8, copies=0)
    recipe = finalise(replace(options, source=Source(drop=("Jogging",))))
    runs, _ = loading.load(recipe.data, recipe.source)
    made = dataset.prepare(recipe, runs, dataset.split_windows(recipe, runs))
    folder = tmp_path / "made"
    folder.mkdir()
    setup, features = set_up(recipe, made, folder)
    shown = examples_of(recipe, made, setup, made.labelled.of(made.split.validation))
    learnt = training_examples(recipe, made, setup, features)
    fitted = Fitted(setup, learnt, shown, Trained(0.0, 0.0, (), False), folder)
    printed = io.StringIO()
    this_run = FinetuneRun(
        recipe, Console(file=printed, width=200), {}, "fp32", "no GPU", tmp_path, tmp_path, time.monotonic()
    )
    sealed = seal(this_run, made, fitted)
    assert bundle.read(folder) == sealed
    assert sealed.manifest.states is not None
    assert "states: stay " in printed.getvalue()
    trials = [trial(("1",), 0.9), trial(("2",), 0.9, 1)]
    crossed = summary(trials, name="x", command="x", seen_before=(), plan={}, length_s=4.0)
    again = seal(replace(this_run, reports={tmp_path: crossed}), made, fitted)
    assert again.manifest.states == crossed.states == even_states(2, 0.95, 0.2)
    monkeypatch.setattr(export, "compare", lambda *_: (None, 0.1))
    with pytest.raises(StoppedError, match="the compiled scorer is"):
        seal(this_run, made, fitted)
