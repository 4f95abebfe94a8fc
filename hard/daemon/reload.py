"""SIGHUP: settings are read again, and a new bundle is loaded beside the one that serves. Says what may change and
changes nothing itself; a thread of its own does the loading, so that the main one keeps its pace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread

import numpy as np
from pydantic import BaseModel

from hard.model import bundle
from hard.model.bundle import Bundle, BundleError
from hard.model.classifier import Classifier, load
from hard.settings import Settings, SettingsError

# What takes effect without a restart.
LIVE = frozenset({
    "grace_s", "log_level", "labels.min_confidence", "labels.smooth_windows", "model.bundle", "model.precision",
    "model.max_batch", "model.max_age_s", "model.max_pending_per_device", "model.max_pending", "publish.health_every_s",
})  # fmt: skip
SAME_AXES_COS = 0.9  # 26°: usual mountings further apart are written in other axes, or mean another placement


@dataclass(frozen=True, slots=True)
class Change:
    """`settings` that hold from now on, a new `classifier` or None, the names of settings that changed, and of those
    that need a restart."""

    settings: Settings
    classifier: Classifier | None
    live: tuple[str, ...]
    restart: tuple[str, ...]


class Reload:
    """One reload under way: a thread that ends with a `change` or a `refusal` in one sentence."""

    def __init__(self, old: Settings, serving: Classifier, reread: Callable[[], Settings]) -> None:
        self._old, self._serving, self._reread = old, serving, reread
        self._thread = Thread(target=self._work, name="reload", daemon=True)
        self.change: Change | None = None
        self.refusal = ""

    def start(self) -> None:
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            self.change = prepare(self._old, self._serving, self._reread())
        except (SettingsError, BundleError) as error:
            self.refusal = str(error)
        except Exception as error:  # whatever it is, what serves must go on
            self.refusal = f"{type(error).__name__}: {error}"


def load_bundle(settings: Settings) -> Classifier:
    """The classifier that the settings ask for. Raises BundleError."""
    model = settings.model
    precision = None if model.precision == "bundle" else model.precision
    return load(model.bundle, model.backend, model.threads, precision)


def prepare(old: Settings, serving: Classifier, new: Settings) -> Change:
    """What `new` changes. The bundle's folder is read again: it may hold another one. Raises BundleError."""
    before, after = flat(old), flat(new)
    changed = [name for name in after if after[name] != before[name]]
    live = tuple(name for name in changed if name in LIVE)
    settings = old
    for name in live:
        section, _, field = name.rpartition(".")
        if section:
            part = getattr(settings, section).model_copy(update={field: after[name]})
            settings = settings.model_copy(update={section: part})
        else:
            settings = settings.model_copy(update={field: after[name]})
    classifier = None
    found = bundle.read(settings.model.bundle, only=())
    if found != serving.bundle or "model.precision" in live:
        _check_fits(serving.bundle, found)
        classifier = load_bundle(settings)
    return Change(settings, classifier, live, tuple(name for name in changed if name not in LIVE))


def flat(settings: Settings) -> dict[str, object]:
    """Each setting by its whole name."""
    found: dict[str, object] = {}
    for name, value in settings:
        inner = {f"{name}.{field}": v for field, v in value} if isinstance(value, BaseModel) else {name: value}
        found.update(inner)
    return found


def _check_fits(serving: Bundle, new: Bundle) -> None:
    had, window = serving.manifest.window, new.manifest.window
    if window != had:
        asks, has = (f"{w.length_s:g} s at {w.rate_hz:g} Hz in {w.unit}" for w in (window, had))
        raise BundleError(f"{new.path}: its windows are {asks}, those in work {has}: this needs a restart")
    usual, before = new.usual(), serving.usual()
    if min(float(np.dot(usual.up, before.up)), float(np.dot(usual.forward, before.forward))) < SAME_AXES_COS:
        raise BundleError(f"{new.path}: its usual mounting is another than the one in use: this needs a restart")
