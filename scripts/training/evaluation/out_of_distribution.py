"""Input that is no activity, made from a seed → the confidence with which a bundle labels it. Knows no data."""

from __future__ import annotations

import numpy as np

from hard.model.classifier import Classifier
from hard.records import Float32Array, Float64Array, Window
from hard.units import G_MS2

COUNT = 200  # windows of each kind


def kinds(points: int, rate_hz: float, seed: int = 0) -> dict[str, Float32Array]:
    """Windows (COUNT, T, 3) in m/s² of each kind, by name."""
    rng = np.random.default_rng(seed)
    shape = (COUNT, points, 3)
    size = np.exp(rng.uniform(np.log(0.5), np.log(20), (COUNT, 1, 1)))
    return {
        "all zeros": np.zeros(shape, dtype=np.float32),
        "white noise": (size * rng.normal(size=shape)).astype(np.float32),
        "thrown about": _thrown(shape, rate_hz, rng).astype(np.float32),
    }


def _thrown(shape: tuple[int, int, int], rate_hz: float, rng: np.random.Generator) -> Float64Array:
    """Tumbling gravity that vanishes in flight, catches of up to 60 m/s² about twice a second, and a shaking hand."""
    turn = np.cumsum(rng.normal(0, 6 / np.sqrt(rate_hz), shape), axis=1) + rng.normal(size=(shape[0], 1, 3))
    gravity = G_MS2 * turn / np.maximum(np.linalg.norm(turn, axis=2, keepdims=True), 1e-6)
    flying = np.repeat(rng.random((shape[0], shape[1] // 8 + 1, 1)) < 0.3, 8, axis=1)[:, : shape[1]]
    catches = (rng.random((*shape[:2], 1)) < 2 / rate_hz) * rng.uniform(20, 60, (*shape[:2], 1))
    direction = rng.normal(size=shape)
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    return np.asarray(np.where(flying, 0, gravity) + catches * direction + rng.normal(0, 3, shape))


def confidences(classifier: Classifier) -> dict[str, Float64Array]:
    """The confidence (COUNT,) with which each kind is labelled, under the bundle's default mounting."""
    manifest = classifier.bundle.manifest
    points = round(manifest.window.length_s * manifest.window.rate_hz)
    found = {}
    for name, xyz in kinds(points, manifest.window.rate_hz).items():
        windows = [_window(classifier, one) for one in xyz]
        found[name] = np.array([p.confidence for p in classifier.classify(windows)])
    return found


def _window(classifier: Classifier, xyz: Float32Array) -> Window:
    manifest = classifier.bundle.manifest
    return Window(
        device="none",
        start=0.0,
        end=manifest.window.length_s,
        xyz=xyz,
        coverage=1.0,
        up=np.asarray(manifest.up, dtype=np.float32),
        forward=np.asarray(manifest.forward, dtype=np.float32),
        calibrated=False,
        clock_offset_s=0.0,
        received_at=0.0,
        received_wall=0.0,
    )
