"""Truths of recordings, and how labels match them: names as the bundle has them, and what `--score` prints."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from hard.errors import UsageError
from hard.recordings import scores
from hard.recordings.recordings import Recording
from hard.recordings.scores import EITHER, alternatives

Scored = tuple[str, str, bool]  # truth, label or state, calibrated


def named(
    runs: Iterable[Recording], labels: Sequence[str], own: Iterable[tuple[str, str]], *, drop: Collection[str] = ()
) -> list[Recording]:
    """`runs` with truths named as the `labels` are, whatever their case, or as the pairs of label and name in `own`
    say: several labels, with EITHER between, where it is one of them. What is in `drop` has no truth."""
    label_of = {name: label for label, name in own}
    by_case = {label.casefold(): label for label in labels}

    def label(name: str) -> str:
        found = label_of.get(name) or by_case.get(name.casefold(), name)
        return "" if found in drop else found

    return [
        run if run.truth is None else replace(run, truth=np.array([label(name) for name in run.truth.tolist()]))
        for run in runs
    ]


def check(file: str, runs: Iterable[Recording], labels: Sequence[str]) -> None:
    """Raises UsageError where no truth of `file` is a label, or one of several."""
    truths = {str(truth) for run in runs if run.truth is not None for truth in np.unique(run.truth)} - {""}
    if not {label for truth in truths for label in alternatives(truth)} & set(labels):
        raise UsageError(
            f"{file}: its truths ({', '.join(sorted(truths))}) are none of the bundle's labels "
            f"({', '.join(labels)}): pair them with --labels {labels[0]}=NAME"
        )


def parents_text(scored: Sequence[Scored], parents: Mapping[str, Sequence[str]], lag_s: float) -> str:
    """How many windows have the right parent as their state."""
    right = sum(set(alternatives(truth)) <= set(parents.get(state, ())) for truth, state, _ in scored)
    return (
        f"states at {lag_s:g} s lag; {right / len(scored):.2%} have the right parent as their state (counted as wrong)"
    )


def score_text(scored: Sequence[Scored], labels: tuple[str, ...]) -> str:
    """The score of all windows, and of those before and after the mounting was learnt, where there are both; apart that
    of windows whose truth is one of several labels."""
    one = [each for each in scored if EITHER not in each[0]]
    parts = {
        name: [each for each in one if each[2] == calibrated]
        for name, calibrated in (("before the mounting was learnt", False), ("after", True))
    }
    lines = [_line(f"{len(one)} windows of one known truth", one, labels)] if one else []
    if all(parts.values()):
        lines += [_line(f"  {len(part)} {name}", part, labels) for name, part in parts.items()]
    if several := [label in alternatives(truth) for truth, label, _ in scored if EITHER in truth]:
        lines.append(f"{len(several)} windows of one of several labels: accuracy {np.mean(several):.4f}")
    return "\n".join([*lines, *([scores.table(_score(one, labels))] if one else [])])


def _line(name: str, part: Sequence[Scored], labels: tuple[str, ...]) -> str:
    found = _score(part, labels)
    return f"{name}: accuracy {found.accuracy:.4f}, macro-F1 {found.macro_f1:.4f}"


def _score(part: Sequence[Scored], labels: tuple[str, ...]) -> scores.Score:
    return scores.score([truth for truth, *_ in part], [label for _, label, _ in part], labels)
