"""Outcomes and training logs → small PNGs for a card: losses, confusion, reliability, coverage. Draws on no screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

from training.loop.trained import Epoch
from training.results.confidence import BINS, THRESHOLDS, curve
from training.results.outcome import Outcome

DPI = 80
ALL = LOSSES, CONFUSION, RELIABILITY, COVERAGE = "losses.png", "confusion.png", "reliability.png", "coverage.png"


def draw(folder: Path, outcome: Outcome, histories: Sequence[Sequence[Epoch]], threshold: float, title: str) -> None:
    """Writes the pictures into `folder`; the loss curves only where something was trained."""
    if any(histories):
        _losses(histories, folder / LOSSES)
    _confusion(outcome, title, folder / CONFUSION)
    _reliability(outcome, title, folder / RELIABILITY)
    _coverage(outcome, threshold, title, folder / COVERAGE)


def _losses(histories: Sequence[Sequence[Epoch]], path: Path) -> None:
    """Training and validation loss and validation macro-F1 by epoch, a line a fold."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
    for history in histories:
        if history:
            epoch = [e.epoch for e in history]
            learnt, validated, macro_f1 = (
                np.array([getattr(e, name) for e in history], dtype=float)
                for name in ("training_loss", "validation_loss", "macro_f1")
            )
            left.plot(epoch, learnt, color="tab:blue", marker=".", alpha=0.8)
            left.plot(epoch, validated, color="tab:orange", marker=".", alpha=0.8)
            right.plot(epoch, macro_f1, color="tab:orange", marker=".", alpha=0.8)
    left.plot([], [], color="tab:blue", label="training loss")
    left.plot([], [], color="tab:orange", label="validation loss")
    left.legend(fontsize="small")
    left.set(xlabel="epoch", ylabel="loss")
    right.set(xlabel="epoch", ylabel="validation macro-F1")
    _save(figure, path)


def _confusion(outcome: Outcome, title: str, path: Path) -> None:
    result = outcome.score
    share = result.confusion / result.confusion.sum(axis=1, keepdims=True)
    rows, columns = share.shape
    figure, axes = plt.subplots(figsize=(2 + 0.62 * columns, 1.6 + 0.5 * rows))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(rows, columns):
        if result.confusion[i, j]:
            axes.text(
                j,
                i,
                str(result.confusion[i, j]),
                ha="center",
                va="center",
                fontsize="small",
                color="white" if share[i, j] > 0.5 else "black",
            )
    axes.set_xticks(range(columns), result.labels, rotation=40, ha="right")
    axes.set_yticks(range(rows), result.truths)
    axes.set(xlabel="label", ylabel="truth", title=title)
    _save(figure, path)


def _reliability(outcome: Outcome, title: str, path: Path) -> None:
    """The share of right labels by confidence, with temperature scaling and without it; calibrated is the diagonal."""
    figure, axes = plt.subplots(figsize=(4.2, 3.8))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    for confidence, name, style in ((outcome.uncalibrated(), "before", "--"), (outcome.confidence, "after", "-")):
        bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
        points = [(confidence[bins == b].mean(), outcome.right[bins == b].mean()) for b in np.unique(bins)]
        axes.plot(*zip(*points, strict=True), style, marker="o", markersize=4, label=f"{name} temperature scaling")
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1.02), title=title)
    axes.legend(fontsize="small")
    _save(figure, path)


def _coverage(outcome: Outcome, threshold: float, title: str, path: Path) -> None:
    found = curve(outcome.confidence, outcome.right)
    figure, axes = plt.subplots(figsize=(4.8, 3.4))
    axes.plot(THRESHOLDS, found.coverage, label="windows accepted")
    axes.plot(THRESHOLDS, found.accuracy, label="of these, right")
    axes.axvline(threshold, color="grey", linestyle=":", label=f"recommended, {threshold:.2f}")
    axes.set(xlabel="labels.min_confidence", xlim=(0, 1), ylim=(0, 1.02), title=title)
    axes.legend(fontsize="small", loc="lower left")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    for axes in figure.axes:
        axes.title.set_fontsize("medium")
    figure.tight_layout()
    # No date and no version: the same figures give the same file.
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(figure)
