"""Windows → predictions: features, prompts, tokens, one scorer call, calibration.

The daemon, `hard label` and evaluation all call `Classifier.classify`. Knows no device and no MQTT.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hard.model.bundle import GRAPHS, TOKENIZER, WEIGHTS, Bundle, BundleError, Manifest, Precision
from hard.model.encoder import Encoder
from hard.model.familiarity import Familiarity
from hard.model.labels import Scores, label_tree
from hard.model.prompts import Words, context_of
from hard.model.tokens import Ids, WordTokenizer
from hard.motion.features import Known, extract
from hard.records import Float32Array, Float64Array, Prediction, Window

Backend = Literal["onnx", "torch"]


class Scorer(Protocol):
    """What a backend offers. Each call is independent, so a scorer may be used by several threads."""

    def score(self, ids: Ids, mask: Ids) -> Scores:
        """The scores of the labels for token `ids` and attention `mask` (B, L), and the pooled encoder output."""
        ...


class LevelUse(NamedTuple):
    """How often a level of the prompt's words was written, and its share on the training windows."""

    times_written: int
    expected_share: float


class Classifier:
    """A loaded bundle: its parts are checked against one another, and one window has been scored to warm up.

    `precision` is that of the compiled scorer, by default the one that the bundle names. Raises BundleError when the
    parts don't fit. Thread-safe but for the counts in `levels`: pass `classify` a lock.
    """

    def __init__(
        self, bundle: Bundle, backend: Backend = "onnx", threads: int = 1, precision: Precision | None = None
    ) -> None:
        self.bundle, self.labels = bundle, bundle.manifest.labels
        self._temperature = np.float32(bundle.manifest.temperature)
        self._feature_names = bundle.manifest.prompt.features
        self._rate_hz = bundle.manifest.window.rate_hz
        try:
            tokenizer = WordTokenizer(str(bundle.path / TOKENIZER))
            self._encoder = Encoder(tokenizer, bundle.manifest.prompt)
            tree = label_tree([tokenizer.encode(label) for label in self.labels], self.labels)
        except (ValueError, RuntimeError) as error:  # sentencepiece raises the latter
            raise BundleError(f"{bundle.path}: {error}") from error
        weights = _weight_files(bundle.manifest, backend, precision)
        self._scorer: Scorer
        try:
            if backend == "torch":
                from hard.model.scorer_torch import TorchScorer  # noqa: PLC0415  (torch is optional)

                self._scorer = TorchScorer(bundle.path, tree, threads)
            else:
                from hard.model.scorer_onnx import OnnxScorer  # noqa: PLC0415  (only the backend that is used is loaded)

                self._scorer = OnnxScorer(bundle.path / weights[0], threads)
            zeros, frame = np.zeros((1, bundle.manifest.window.points, 3), np.float32), bundle.default_mounting()
            known = Known(frame.up[None], frame.forward[None], np.ones(1, bool), zeros)
            features = extract(zeros, known, self._rate_hz, self._feature_names)
            scores, pooled = self._scorer.score(*self.tokens(features))
        except ModuleNotFoundError as error:
            advice = "pip install 'hard-daemon[train]'"
            raise BundleError(f"backend {backend!r} needs the package {error.name}: {advice}") from error
        except Exception as error:  # each runtime has its own exceptions
            raise BundleError(f"{bundle.path}: the {backend} scorer can't run: {_first_line(error)}") from error
        self._encoder.level_counts[:] = 0  # the window of zeros doesn't count
        if scores.shape != (1, len(self.labels)):
            k = len(self.labels)
            raise BundleError(f"{bundle.path}: the scorer gives scores of shape {scores.shape[1:]} for {k} labels")
        self._familiarity = _familiarity(bundle, pooled)

    def classify(self, windows: Sequence[Window], lock: AbstractContextManager[None] | None = None) -> list[Prediction]:
        """One prediction a window, in order; any number of windows is one batch. An empty batch gives none.

        `lock` is held while features and tokens are computed, not while the scorer runs. Raises FloatingPointError
        where the scorer gives a probability that is not finite.
        """
        if not windows:
            return []
        probabilities, best, pooled = self._scored(windows, lock)
        familiar: list[float] | list[None] = [None] * len(windows)
        if self._familiarity and pooled is not None:
            familiar = self._familiarity.of(pooled, best).tolist()
        return [
            Prediction(window, self.labels[k], float(row[k]), row, share)
            for window, row, k, share in zip(windows, probabilities, best.tolist(), familiar, strict=True)
        ]

    def pooled(self, windows: Sequence[Window]) -> tuple[Float32Array, NDArray[np.intp]]:
        """The pooled encoder output (B, D) of `windows`, and the index (B,) of each one's label: what a familiarity is
        fitted to. Raises BundleError where the graph doesn't give it."""
        _, best, pooled = self._scored(windows, None)
        if pooled is None:
            raise BundleError(f"{self.bundle.path}: the scorer gives no pooled output")
        return pooled, best

    def _scored(
        self, windows: Sequence[Window], lock: AbstractContextManager[None] | None
    ) -> tuple[Float64Array, NDArray[np.intp], Float32Array | None]:
        """Probabilities (B, K), the index (B,) of the greatest, and the pooled output (B, D)."""
        with lock or nullcontext():
            ids, mask = self.tokens(self.features(windows), self._context(windows))
        scores, pooled = self._scorer.score(ids, mask)
        scores = scores / self._temperature
        probabilities = np.exp(scores - scores.max(axis=1, keepdims=True), dtype=np.float64)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        if not np.isfinite(probabilities).all():
            raise FloatingPointError("the scorer gave a probability that is not finite")
        return probabilities, probabilities.argmax(axis=1), pooled

    @property
    def levels(self) -> dict[str, LevelUse]:
        """The use of each level since the start; empty for a style without levels. Safe to call from any thread."""
        counts = zip(self._encoder.level_counts.tolist(), self._encoder.expected_shares, strict=True)
        return {f"{level:02d}": LevelUse(count, share) for level, (count, share) in enumerate(counts)}

    def prompts(self, windows: Sequence[Window]) -> list[str]:
        """The prompts of `windows`, for people."""
        return self._encoder.render(self.features(windows), self._context(windows))

    def tokens(self, features: Float32Array, context: Words | None = None) -> tuple[Ids, Ids]:
        """Token ids and mask (B, L) for `features` (B, F) and the words of `context` (B, C), by default the unknown
        ones: equal to tokenizing the rendered prompts."""
        return self._encoder.tokens(features, context)

    def features(self, windows: Sequence[Window]) -> Float32Array:
        """The features (B, F) that the prompts are written from, in the bundle's order."""
        xyz = np.stack([window.xyz for window in windows])
        return extract(xyz, Known.of(windows), self._rate_hz, self._feature_names)

    def _context(self, windows: Sequence[Window]) -> Words:
        """What the prompts say of `windows` beside features, as indices of words (B, C)."""
        return context_of(self.bundle.manifest.prompt.context, [window.place for window in windows])


def load(
    where: Path | str | None = None, backend: Backend = "onnx", threads: int = 1, precision: Precision | None = None
) -> Classifier:
    """The classifier of the bundle at `where` (see `bundle.find`); only the files that `backend` uses are verified.

    Raises BundleError.
    """
    from hard.model import bundle  # noqa: PLC0415

    manifest = bundle.read(where, only=()).manifest
    return Classifier(bundle.read(where, only=_weight_files(manifest, backend, precision)), backend, threads, precision)


def _weight_files(manifest: Manifest, backend: Backend, precision: Precision | None) -> tuple[str, ...]:
    """The bundle's files of weights for `backend` and `precision`. Raises BundleError where there are none."""
    if backend == "torch":
        if precision == "int8":
            raise BundleError("the torch backend has no int8: leave model.precision out or choose the onnx backend")
        return WEIGHTS
    graph = GRAPHS[precision or manifest.precision]
    if precision and graph not in manifest.files:
        raise BundleError(f"the bundle {manifest.name!r} has no {graph}, so it can't serve {precision}")
    return (graph,)


def _familiarity(bundle: Bundle, pooled: Float32Array | None) -> Familiarity | None:
    """What says how familiar a window is; None where the bundle has none, or its graph gives no `pooled` output. Raises
    BundleError where the two don't fit."""
    spec = bundle.manifest.familiarity
    if spec is None or pooled is None:
        return None
    try:
        return Familiarity(spec, pooled.shape[1])
    except ValueError as error:
        raise BundleError(f"{bundle.path}: the familiarity doesn't fit the scorer: {error}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
