"""Recordings → the windows that a model is made from and judged by, and their split. Knows no model, prints nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hard.model import leakage
from hard.motion.features import Known
from hard.motion.mounting import Frame
from hard.motion.windows import Grid
from hard.recordings.default_rules import default_grid
from hard.recordings.recordings import Recording
from hard.records import Float32Array, Float64Array
from training import base_bundle
from training.data import augment, loading, split
from training.data.loading import LabelledWindows
from training.data.split import Split
from training.errors import RefusedError
from training.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class SplitWindows:
    """All windows and their split. `labels` are the model's, `present` those that occur; `unknown` are windows of an
    activity that is left out."""

    labelled: LabelledWindows
    unknown: LabelledWindows
    split: Split
    labels: tuple[str, ...]
    present: tuple[str, ...]


class Variant(NamedTuple):
    """Windows to learn from: `xyz` (N, T, 3) in m/s², what is `known` beside, `truth` (N,), `weight` (N,) and `place`
    (N), of PLACES or None."""

    xyz: Float32Array
    known: Known
    truth: NDArray[np.str_]
    weight: Float64Array
    place: list[str | None]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """What a model is made from and judged by. `runs` are the recordings of all whom some training learns from; the
    `default_mounting` stands in where a device has shown none. `sequences` are all windows of those who are judged, in
    order, also those of several activities, whose truth is "", and `backwards` theirs from each device's recordings in
    reverse order; both where the split is by subject. `unknown` are those of the test subjects of an activity that is
    left out; `without_gravity` names the data sets that hold none. `judged` are the recordings of those who are judged,
    where the split is by subject. `dropped` are windows of all subjects of labels that are left out of the recordings:
    no label is right for them."""

    labelled: LabelledWindows
    runs: tuple[Recording, ...]
    labels: tuple[str, ...]
    split: Split
    default_mounting: Frame
    sequences: LabelledWindows
    backwards: LabelledWindows
    unknown: LabelledWindows
    without_gravity: tuple[str, ...]
    judged: tuple[Recording, ...]
    dropped: LabelledWindows | None = None

    def variants(self, recipe: Recipe) -> Iterator[Variant]:
        """The windows to learn from as they were recorded, then those of other lives, always the same."""
        rng, grid = np.random.default_rng(recipe.seed), grid_of(recipe)
        yield _variant(self.labelled.of(self.split.train))
        by_subject, learnt = self.split.kind == "subject", set(self.split.train)
        runs = [run for run in self.runs if run.subject in learnt or not by_subject]
        for _ in range(recipe.copies):
            windows = loading.windows_of_lives(augment.lives(runs, rng), grid)
            if by_subject:
                windows = split.leave_out(windows, recipe.leave_out)[0].of(self.split.train)
            yield _variant(windows)

    def all_learnt(self, recipe: Recipe) -> Dataset:
        """The same, with the validation subjects among those to learn from, and none to validate on."""
        learnt = (*self.split.train, *self.split.validation)
        default = loading.default_mounting(self.labelled.of(learnt))
        return replace(
            self,
            labelled=self.labelled.with_default_mounting(default),
            split=replace(self.split, train=learnt, validation=()),
            default_mounting=default,
        )


def split_windows(recipe: Recipe, runs: list[Recording]) -> SplitWindows:
    """The windows of `runs`, as `recipe` splits them. Raises RefusedError where there are none or too few subjects."""
    grid = grid_of(recipe)
    if recipe.split == "time":
        labelled, parts = split.in_time(runs, grid)
    else:
        labelled = loading.windows_of(runs, grid)
    split.check_left_out(labelled, recipe.leave_out)
    labelled, unknown = split.leave_out(labelled, recipe.leave_out)
    labels = present = loading.ordered(labelled.truth)
    if recipe.split == "random":
        labelled, parts = split.at_random(labelled, recipe.seed)
    elif recipe.split == "subject":
        holdout = (recipe.leave_out,) if recipe.leave_out in labelled.group else recipe.holdout
        parts = split.covering(labelled, present, holdout, recipe.validation, recipe.seed)
        if recipe.leave_out in parts.test:
            people = dict.fromkeys(labelled.of(parts.test).subject.tolist())
            parts = replace(parts, left_people=tuple(people))
    if recipe.base_bundle is not None:
        labels = base_bundle.labels(recipe.base_bundle, present)
        training, files = recipe.base_bundle.manifest.training, loading.files(recipe.data)
        parts = replace(parts, seen_before=leakage.seen_subjects(training, files, parts.judged()))
    return SplitWindows(labelled, unknown, parts, labels, present)


def prepare(recipe: Recipe, runs: list[Recording], windows: SplitWindows) -> Dataset:
    """The `windows` of `runs` under their default mounting. Raises RefusedError where a label lacks windows."""
    labelled, parts = windows.labelled, windows.split
    split.check_classes(labelled, parts, windows.present)
    default = loading.default_mounting(labelled.of(parts.train))
    without_gravity = tuple(dict.fromkeys(run.dataset or "" for run in runs if not run.has_gravity))
    learnt = _learnt(recipe, runs, parts)
    judged = set(parts.judged()) if recipe.split == "subject" else set()
    runs = [run for run in runs if run.subject in judged]
    sequences = backwards = labelled.of(())
    if judged:
        grid = grid_of(recipe)
        sequences, _ = split.leave_out(loading.windows_of(runs, grid, every=True), recipe.leave_out)
        backwards, _ = split.leave_out(loading.windows_of(loading.reversed_order(runs), grid), recipe.leave_out)
    labelled, sequences, backwards, unknown = (
        part.with_default_mounting(default) for part in (labelled, sequences, backwards, windows.unknown.of(parts.test))
    )
    return Dataset(
        labelled, learnt, windows.labels, parts, default, sequences, backwards, unknown, without_gravity, tuple(runs)
    )


def _variant(windows: LabelledWindows) -> Variant:
    return Variant(windows.xyz, windows.known, windows.truth, windows.weights, windows.stated_place)


def dropped_windows(recipe: Recipe, runs: list[Recording]) -> LabelledWindows | None:
    """The windows of labels that are to be dropped, in `runs` that still have them; None where the split isn't by
    subject, and where there are none."""
    if recipe.split != "subject" or not recipe.source.drop:
        return None
    found = loading.windows_of(runs, grid_of(recipe))
    found = found.at(np.flatnonzero(np.isin(found.truth, recipe.source.drop)))
    return found if len(found) else None


def hours_of(runs: list[Recording]) -> dict[str, float]:
    """Hours recorded of each truth."""
    found: defaultdict[str, float] = defaultdict(float)
    for run in runs:
        if run.truth is not None and len(run.time) > 1:
            each_s = (run.time[-1] - run.time[0]) / (len(run.time) - 1)
            for truth, count in zip(*np.unique(run.truth, return_counts=True), strict=True):
                found[str(truth)] += float(count * each_s) / 3600
    found.pop("", None)  # left out
    return found


def grid_of(recipe: Recipe) -> Grid:
    """The grid of the windows. Raises RefusedError."""
    try:
        return default_grid(recipe.length_s, recipe.rate_hz, recipe.hop_s)
    except ValueError as error:
        raise RefusedError(f"{error}: choose another --length-s or --rate") from error


def _learnt(recipe: Recipe, runs: list[Recording], parts: Split) -> tuple[Recording, ...]:
    """The recordings of all whom some training of `recipe` learns from."""
    if recipe.split == "time":
        return tuple(split.learnt_in_time(runs))
    learnt = {*parts.train, *(parts.validation if recipe.refit else ())}
    return tuple(run for run in runs if recipe.split == "random" or run.subject in learnt)
