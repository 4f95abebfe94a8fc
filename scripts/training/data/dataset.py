"""Recordings → the windows that a model is made from and judged by, parted by subject. Knows no model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from rich.console import Console

from hard.model import leakage
from hard.motion.mounting import Frame
from hard.recordings.default_rules import default_grid
from hard.recordings.recordings import Recording
from training.data import augment, loading, split
from training.data.loading import Labelled
from training.errors import RefusedError
from training.model import extend
from training.model.extend import base_of
from training.recipe import Recipe
from training.report import console as display


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """The data, cut and parted. `stretches` are longer windows of those to learn from, for augmented copies."""

    labelled: Labelled
    stretches: Labelled
    labels: tuple[str, ...]
    parts: split.Split
    usual: Frame

    def all_learnt(self, recipe: Recipe) -> Dataset:
        """The same, with the validation subjects among those to learn from, and nobody to validate on."""
        learnt = (*self.parts.train, *self.parts.validation)
        usual = _usual(recipe, self.labelled.of(learnt))
        parts = replace(self.parts, train=learnt, validation=())
        return Dataset(self.labelled.under(usual), self.stretches.under(usual), self.labels, parts, usual)


def read(recipe: Recipe) -> tuple[list[Recording], Counter[str]]:
    """The runs of the recordings that `recipe` names, under its labels, and rejected records by reason."""
    return loading.load(
        recipe.data,
        recipe.time_unit,
        recipe.recorded_hz,
        recipe.unit,
        columns=recipe.columns,
        labels=recipe.labels,
    )


def prepare(recipe: Recipe, console: Console) -> Dataset:
    """Reads, cuts and splits the recordings, and shows what there is."""
    runs, rejected = read(recipe)
    display.show_rejected(console, rejected)
    try:
        grid = default_grid(recipe.length_s, recipe.rate_hz, recipe.hop_s)
    except ValueError as error:
        raise RefusedError(f"{error}: choose another --length-s or --rate") from error
    base = base_of(recipe)
    if recipe.split == "time":
        labelled, parts = split.in_time(runs, grid)
    else:
        labelled = loading.cut(runs, grid)
    labels = present = loading.ordered(labelled.truth)
    if recipe.split == "random":
        labelled, parts = split.at_random(labelled, recipe.seed)
    elif recipe.split == "subject":
        parts = split.covering(labelled, present, recipe.holdout, recipe.validation, recipe.seed)
    if base is not None:
        labels = extend.labels(base, present)
        people = parts.parts()
        judged = list(dict.fromkeys((*people["validation"], *people["test"])))
        seen = leakage.seen_subjects(base.manifest.training, loading.files(recipe.data), judged)
        parts = replace(parts, seen_before=seen)
    display.show_data(console, runs, labelled=labelled, labels=labels, split=parts)
    if base is not None:
        extend.tell(console, base, present, parts.seen_before)
    split.check_classes(labelled, parts, present)
    usual = _usual(recipe, labelled.of(parts.train))
    stretches = _stretches(recipe, runs, parts, len(grid.offsets)) if recipe.copies else labelled.of(())
    return Dataset(labelled.under(usual), stretches.under(usual), labels, parts, usual)


def _usual(recipe: Recipe, learnt: Labelled) -> Frame:
    """The usual mounting of those to learn from. What is adapted keeps its base's gait amplitude, under which its
    levels were made; the seed's prompt takes windows as they come."""
    base, found = base_of(recipe), loading.usual(learnt)
    if base is not None:
        return found._replace(gait_amplitude_ms2=base.manifest.gait_amplitude_ms2)
    return found if recipe.prompt == "compact" else found._replace(gait_amplitude_ms2=0.0)


def _stretches(recipe: Recipe, runs: list[Recording], parts: split.Split, points: int) -> Labelled:
    """Stretches of all whom some training of `recipe` learns from."""
    room = default_grid(augment.room_points(points) / recipe.rate_hz, recipe.rate_hz, recipe.hop_s)
    if recipe.split == "time":
        return split.in_time(runs, room)[0]
    if recipe.split == "random":
        return split.at_random(loading.cut(runs, room), recipe.seed)[0]
    learnt = {*parts.train, *(parts.validation if recipe.refit else ())}
    return loading.cut([run for run in runs if run.subject in learnt], room)
