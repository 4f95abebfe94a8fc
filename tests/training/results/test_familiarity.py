"""A network tells known pooled outputs from others; its quantiles are those of people not trained on."""

from __future__ import annotations

import msgspec
import numpy as np
from training.results import familiarity
from training.results.confidence import MIN_FAMILIAR, auroc
from training.results.familiarity import Pooled

from hard.model.familiarity import Familiarity, problem

CENTRES = np.array([[0.0, 0, 0], [6, 0, 0]])


def known(n: int, seed: int) -> Pooled:
    """Two labels around CENTRES, as often."""
    rng, label = np.random.default_rng(seed), np.arange(n) % 2
    return Pooled((CENTRES[label] + rng.normal(size=(n, 3))).astype(np.float32), label, np.ones(n))


def unknown(n: int, at: tuple[float, ...]) -> Pooled:
    outputs = np.asarray(at) + np.random.default_rng(9).normal(size=(n, 3))
    return Pooled(outputs.astype(np.float32), np.zeros(n, dtype=np.intp), np.ones(n))


def test_new_people_are_as_familiar_as_the_table_says_and_outliers_are_not() -> None:
    learnt = known(2000, 1)
    made = familiarity.fit(learnt, learnt.label, unknown(500, (3.0, 5.0, 0.0)), seed=0)
    made = familiarity.with_quantiles(made, known(2000, 2), familiarity.even_levels(2))
    assert problem(made, 2) is None
    measure, new = Familiarity(made, 3), known(2000, 3)
    share = measure.of(new.outputs, new.label)
    assert abs((share < MIN_FAMILIAR).mean() - MIN_FAMILIAR) < 0.015
    assert abs(np.median(share) - 0.5) < 0.05
    seen, other = (unknown(500, at) for at in ((3.0, 5.0, 0.0), (3.0, 9.0, 6.0)))
    for outlier in (seen, other):  # the second is further away than any that it was fitted to
        assert (measure.of(outlier.outputs, outlier.label) < MIN_FAMILIAR).mean() > 0.9
        assert auroc(share, measure.of(outlier.outputs, outlier.label)) > 0.95


def test_a_label_of_few_windows_has_the_quantiles_of_all() -> None:
    learnt, shown = known(2000, 1), known(400, 2)
    made = familiarity.fit(learnt, learnt.label, unknown(500, (3.0, 5.0, 0.0)), seed=0)
    few = shown._replace(label=np.where(np.arange(400) < 20, 1, 0))
    made = familiarity.with_quantiles(made, few, familiarity.even_levels(2))
    evidence = familiarity.evidence_of(made, few.outputs)
    assert made.quantiles[1][0] == round(evidence.min(), 4)
    assert made.quantiles[0][0] >= made.quantiles[1][0]


def test_a_refit_takes_over_how_new_people_differ_from_those_learnt_from() -> None:
    learnt, others = known(4000, 1), known(4000, 2)
    others = others._replace(outputs=others.outputs + np.float32([0, 0.5, 0]))  # new people are less familiar
    first = familiarity.fit(learnt, learnt.label, unknown(500, (3.0, 5.0, 0.0)), seed=0)
    first = familiarity.with_quantiles(first, others, familiarity.even_levels(2))
    levels = familiarity.levels_among(first, learnt)
    again = familiarity.with_quantiles(msgspec.structs.replace(first, quantiles=()), learnt, levels)
    new = known(4000, 3)
    share = Familiarity(again, 3).of(new.outputs + np.float32([0, 0.5, 0]), new.label)
    assert abs((share < 0.1).mean() - 0.1) < 0.03
