"""Input that is no activity, made from a seed or of recordings → how certain a bundle is of its labels for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hard.model.bundle import Bundle
from hard.model.classifier import Classifier
from hard.recordings.default_rules import bundle_devices
from hard.recordings.recordings import Recording
from hard.records import Float32Array, Float64Array, Window
from hard.units import G_MS2
from training.data import loading
from training.data.loading import LabelledWindows
from training.results.confidence import Certainty, certainty_of

COUNT = 200  # windows of each kind
NOISE_MS2 = 0.5, 1.0, 2.0, 5.0, 10.0  # deviations of white noise around gravity
GRAVITY_HZ = 0.3  # corner of the low-pass that gives gravity, as phones' own do
Shape = tuple[int, int, int]
Rng = np.random.Generator


def kinds(points: int, rate_hz: float, seed: int = 0) -> dict[str, Float32Array]:
    """Windows (COUNT, T, 3) in m/s² of each kind, by name."""
    rng = np.random.default_rng(seed)
    shape = (COUNT, points, 3)
    size = np.exp(rng.uniform(np.log(0.5), np.log(20), (COUNT, 1, 1)))
    made = {
        "all zeros": np.zeros(shape),
        "white noise": size * rng.normal(size=shape),
        "thrown about": _thrown(shape, rate_hz, rng),
    }
    for noise in NOISE_MS2:
        made[f"gravity and white noise of {noise:g} m/s²"] = _gravity(rng) + rng.normal(0, noise, shape)
    made["slow sway"] = _swaying(shape, rate_hz, rng)
    step = np.exp(rng.uniform(np.log(0.1), np.log(2), (COUNT, 1, 1)))
    made["Brownian motion"] = _gravity(rng) + np.cumsum(step * rng.normal(size=shape), axis=1)
    made["a table"] = _gravity(rng) + rng.uniform(0.005, 0.05, (COUNT, 1, 1)) * rng.normal(size=shape)
    made["a washing machine"] = _vibrating(shape, rate_hz, rng, hz=(8, 20), size_ms2=(0.5, 6), noise_ms2=0.1)
    made["a car at idle"] = _vibrating(shape, rate_hz, rng, hz=(20, 30), size_ms2=(0.1, 0.8), noise_ms2=0.05)
    return {name: windows.astype(np.float32) for name, windows in made.items()}


def of_recordings(sealed: Bundle, runs: Sequence[Recording], hop_s: float) -> dict[str, LabelledWindows]:
    """The windows of `runs` as senders would have given them that take gravity out, or send g where m/s² are due."""
    grid = bundle_devices(sealed, hop_s).grid
    changed = {
        "recordings without gravity": [replace(run, xyz=run.xyz - _low_pass(run)) for run in runs],
        "recordings in g": [replace(run, xyz=run.xyz / G_MS2) for run in runs],
    }
    return {name: loading.windows_of(others, grid) for name, others in changed.items()}


def _low_pass(run: Recording) -> Float64Array:
    """Gravity (N, 3) as a first-order low-pass of GRAVITY_HZ gives it."""
    rate_hz = (len(run.time) - 1) / max(float(run.time[-1] - run.time[0]), 1e-3)
    share = 1 - np.exp(-2 * np.pi * GRAVITY_HZ / rate_hz)
    found, now = np.empty_like(run.xyz), run.xyz[0]
    for i, sample in enumerate(run.xyz):
        now = now + share * (sample - now)
        found[i] = now
    return found


def _directions(rng: Rng) -> Float64Array:
    """Unit vectors (COUNT, 1, 3), evenly spread."""
    ways = rng.normal(size=(COUNT, 1, 3))
    return np.asarray(ways / np.linalg.norm(ways, axis=2, keepdims=True))


def _gravity(rng: Rng) -> Float64Array:
    return G_MS2 * _directions(rng)


def _swaying(shape: Shape, rate_hz: float, rng: Rng) -> Float64Array:
    """Gravity that sways by 3° to 45° to both sides, in 2 to 20 s."""
    time = np.arange(shape[1]) / rate_hz
    hz, size = rng.uniform(0.05, 0.5, (COUNT, 1)), np.exp(rng.uniform(np.log(0.05), np.log(0.8), (COUNT, 1)))
    angle = (size * np.sin(2 * np.pi * (hz * time + rng.random((COUNT, 1)))))[:, :, None]
    at, other = _directions(rng), _directions(rng)
    aside = other - (other * at).sum(axis=2, keepdims=True) * at
    aside /= np.linalg.norm(aside, axis=2, keepdims=True)
    return np.asarray(G_MS2 * (np.cos(angle) * at + np.sin(angle) * aside) + rng.normal(0, 0.05, shape))


def _vibrating(
    shape: Shape, rate_hz: float, rng: Rng, *, hz: tuple[float, float], size_ms2: tuple[float, float], noise_ms2: float
) -> Float64Array:
    """Gravity and an engine's vibration with half its rate, each along a line of its own, sampled without a filter."""
    time, rate = np.arange(shape[1]) / rate_hz, rng.uniform(*hz, (COUNT, 1))
    size = np.exp(rng.uniform(np.log(size_ms2[0]), np.log(size_ms2[1]), (COUNT, 1, 1)))
    felt = _gravity(rng) + rng.normal(0, noise_ms2, shape)
    for part, share in ((1.0, 1.0), (0.5, 0.5)):
        wave = np.sin(2 * np.pi * (part * rate * time + rng.random((COUNT, 1))))
        felt = felt + size * share * wave[:, :, None] * _directions(rng)
    return np.asarray(felt)


def _thrown(shape: Shape, rate_hz: float, rng: Rng) -> Float64Array:
    """Tumbling gravity that vanishes in flight, catches of up to 60 m/s² about twice a second, and a shaking hand."""
    turn = np.cumsum(rng.normal(0, 6 / np.sqrt(rate_hz), shape), axis=1) + rng.normal(size=(shape[0], 1, 3))
    gravity = G_MS2 * turn / np.maximum(np.linalg.norm(turn, axis=2, keepdims=True), 1e-6)
    flying = np.repeat(rng.random((shape[0], shape[1] // 8 + 1, 1)) < 0.3, 8, axis=1)[:, : shape[1]]
    catches = (rng.random((*shape[:2], 1)) < 2 / rate_hz) * rng.uniform(20, 60, (*shape[:2], 1))
    direction = rng.normal(size=shape)
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    return np.asarray(np.where(flying, 0, gravity) + catches * direction + rng.normal(0, 3, shape))


def certainties(classifier: Classifier) -> dict[str, Certainty]:
    """How certain the label of each window (COUNT,) of each kind is, under the bundle's default mounting."""
    manifest = classifier.bundle.manifest
    found = {}
    for name, xyz in kinds(2 * manifest.window.points, manifest.window.rate_hz).items():
        found[name] = certainty_of(classifier.classify([_window(classifier, one) for one in xyz]))
    return found


def _window(classifier: Classifier, xyz: Float32Array) -> Window:
    manifest = classifier.bundle.manifest
    return Window(
        device="none",
        start=0.0,
        end=manifest.window.length_s,
        xyz=xyz[len(xyz) // 2 :],
        coverage=1.0,
        up=np.asarray(manifest.up, dtype=np.float32),
        forward=np.asarray(manifest.forward, dtype=np.float32),
        calibrated=False,
        before=xyz[: len(xyz) // 2],
        clock_offset_s=0.0,
        received_at=0.0,
        received_wall=0.0,
    )
