"""The familiarity of a sealed bundle: fitted to its dataset, dropped labels included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from msgspec import structs
from support.familiar import familiar_bundle
from training.data import dataset, loading
from training.evaluation.evaluate import classify
from training.evaluation.familiarity import fit_familiarity
from training.options import Options, Source
from training.recipe import finalise
from training.results.confidence import auroc

from hard.model.bundle import Bundle
from hard.model.classifier import Classifier


def test_dropped_labels_are_less_familiar_than_new_people(recording: Path, tmp_path: Path) -> None:
    options = Options(
        data=(recording,), out=tmp_path / "made", copies=0, base="default", holdout=("5", "6"), validation=2,
        source=Source(drop=("Jogging",)),
    )  # fmt: skip
    recipe = finalise(options)
    runs, _ = loading.load(recipe.data, recipe.source, drop=False)
    dropped, known = dataset.dropped_windows(recipe, runs), loading.without(runs, recipe.source.drop)
    assert dropped is not None
    made = replace(dataset.prepare(recipe, known, dataset.split_windows(recipe, known)), dropped=dropped)
    sealed = familiar_bundle(tmp_path / "bundle")

    first = Bundle(sealed.path, structs.replace(sealed.manifest, familiarity=fit_familiarity(sealed, made, recipe)))
    share, other = (_familiar(first, part.of(("5", "6"))) for part in (made.labelled, dropped))
    assert auroc(share, other) > 0.85
    assert (other < 0.03).mean() > 0.9
    assert (share < 0.03).mean() < 0.35  # two people tell little of the next two

    everyone = made.all_learnt(recipe)
    again = fit_familiarity(sealed, everyone, recipe, first)
    refitted = Bundle(sealed.path, structs.replace(sealed.manifest, familiarity=again))
    share, other = (_familiar(refitted, part.of(("5", "6"))) for part in (made.labelled, dropped))
    assert (other < 0.03).mean() > 0.9
    assert share.mean() > other.mean() + 0.2
    assert fit_familiarity(sealed, everyone, recipe, None) is None, "nobody is left who is new"


def _familiar(sealed: Bundle, labelled: loading.LabelledWindows) -> np.ndarray:
    return np.array([made.familiar for made in classify(Classifier(sealed), labelled)], dtype=np.float64)
