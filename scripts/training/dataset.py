"""Recordings → the windows that a model is made from and judged by, parted by subject. Knows no model."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rich.console import Console

from hard.motion.mounting import Frame
from hard.motion.windows import Grid
from hard.recordings import Recording
from training import augment, data, display, split
from training.data import Labelled
from training.guards import RefusedError
from training.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """The data, cut and parted. `stretches` are longer windows of those to learn from, for augmented copies."""

    labelled: Labelled
    stretches: Labelled
    labels: tuple[str, ...]
    parts: split.Split
    usual: Frame

    def all_learnt(self) -> Dataset:
        """The same, with the validation subjects among those to learn from, and nobody to validate on."""
        learnt = (*self.parts.train, *self.parts.validation)
        usual = data.usual(self.labelled.of(learnt))
        parts = replace(self.parts, train=learnt, validation=())
        return Dataset(self.labelled.under(usual), self.stretches.under(usual), self.labels, parts, usual)


def prepare(recipe: Recipe, console: Console) -> Dataset:
    """Reads, cuts and splits the recordings, and shows what there is."""
    runs, rejected = data.load(
        recipe.data,
        recipe.time_unit,
        recipe.recorded_hz,
        recipe.unit,
        columns=recipe.columns,
        labels=recipe.labels,
    )
    try:
        grid = Grid(recipe.length_s, recipe.rate_hz, hop_s=recipe.hop_s)
    except ValueError as error:
        raise RefusedError(f"{error}: choose another --length-s or --rate") from error
    labelled = data.cut(runs, grid)
    labels = data.ordered(labelled.truth)
    if recipe.split == "random":
        labelled, parts = split.at_random(labelled, recipe.seed)
    else:
        parts = split.covering(labelled, labels, recipe.holdout, recipe.validation, recipe.seed)
    display.show_data(console, runs, rejected, labelled=labelled, labels=labels, split=parts)
    split.check_classes(labelled, parts, labels)
    usual = data.usual(labelled.of(parts.train))
    stretches = _stretches(recipe, runs, parts, len(grid.offsets)) if recipe.copies else labelled.of(())
    return Dataset(labelled.under(usual), stretches.under(usual), labels, parts, usual)


def _stretches(recipe: Recipe, runs: list[Recording], parts: split.Split, points: int) -> Labelled:
    """Stretches of all whom some training of `recipe` learns from."""
    room = Grid(augment.room_points(points) / recipe.rate_hz, recipe.rate_hz, hop_s=recipe.hop_s)
    if parts.leaky:
        return split.at_random(data.cut(runs, room), recipe.seed)[0]
    learnt = {*parts.train, *(parts.validation if recipe.refit else ())}
    return data.cut([run for run in runs if run.subject in learnt], room)
