"""Windows of all wearers → as if each swung as usual while walking, half of the way. Knows no feature and no model.

A device at the waist swings half as far as one in a trouser pocket, and so do some wearers. What is learnt from some
then fits others: boosting, six folds by subject, loses 0.01 instead of 0.03 of macro-F1 where every movement is smaller
by 0.7 or larger by 1.4 (scripts/LOG.md). Half of the way in the logarithm, for what a device has seen of walking may
have been stairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hard.records import Float32Array

HALF = 0.5
MOST = 1.5  # times by which a window is changed at most


def gains(gait_amplitude_ms2: ArrayLike, usual: float) -> Float32Array:
    """What each window's movement is to be multiplied with (B,), from its device's `swing` (B,) and the `usual` one, in
    m/s². 1 where either is 0: not known."""
    known = np.asarray(gait_amplitude_ms2, dtype=np.float32)
    ratio = np.where((known > 0) & (usual > 0), usual / np.maximum(known, 1e-6), 1.0)
    return np.clip(ratio**HALF, 1 / MOST, MOST).astype(np.float32)


def normalised(windows: Float32Array, gain: Float32Array) -> Float32Array:
    """The windows (B, T, 3) with their movement, all but the mean, multiplied by `gain` (B,)."""
    if (gain == 1).all():
        return windows
    mean = windows.mean(axis=1, keepdims=True)
    return np.asarray(mean + (windows - mean) * gain[:, None, None], dtype=np.float32)
