"""SIGHUP: reads the settings again and loads a new bundle beside the one in use. Settings in, a `Change` out.

It applies nothing itself. A thread of its own does the loading, so that the main thread keeps its pace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread

import numpy as np
from pydantic import BaseModel

from hard.daemon.sender_settings import make_senders
from hard.daemon.wiring import load_bundle
from hard.errors import UsageError
from hard.model import bundle
from hard.model.bundle import Bundle, BundleError
from hard.model.classifier import Classifier
from hard.settings import Settings, SettingsError

# What takes effect without a restart.
LIVE = frozenset({
    "grace_s", "log_level", "devices", "ingest.place", "labels.min_confidence", "labels.min_familiar",
    "labels.smoothing", "labels.lag_s", "labels.smooth_windows", "model.bundle", "model.precision", "model.max_batch",
    "model.max_age_s", "model.max_pending_per_device", "model.max_pending", "publish.health_every_s",
})  # fmt: skip
SAME_AXES_COS = 0.9  # 26°: default mountings further apart have other axes, or mean another placement


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
        except (SettingsError, UsageError, BundleError) as error:
            self.refusal = str(error)
        except Exception as error:  # the daemon must go on, whatever it is
            self.refusal = f"{type(error).__name__}: {error}"


class Reloader:
    """One reload at a time. A request during a reload asks for another: settings may have changed since it read them.

    `reread` gives the settings as they are now."""

    def __init__(self, reread: Callable[[], Settings]) -> None:
        self._reread = reread
        self._requested = False
        self._reload: Reload | None = None

    def request(self) -> None:
        """Asks for a reload, which begins with the next `start`."""
        self._requested = True

    def finished(self) -> Reload | None:
        """The reload that has ended since the last call, if any."""
        if self._reload is None or not self._reload.done:
            return None
        reload, self._reload = self._reload, None
        return reload

    def start(self, settings: Settings, serving: Classifier) -> bool:
        """Begins a requested reload of `settings` in use and the `serving` classifier; says whether it did."""
        if not self._requested or self._reload:
            return False
        self._requested = False
        self._reload = Reload(settings, serving, self._reread)
        self._reload.start()
        return True


def prepare(old: Settings, serving: Classifier, new: Settings) -> Change:
    """What `new` changes. The bundle's folder is read again, for it may hold another bundle now.

    Raises SettingsError, UsageError and BundleError."""
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
    make_senders(settings)  # raises where an entry can't be used
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
        raise BundleError(f"{new.path}: its windows are {asks}, those in use {has}: this needs a restart")
    usual, before = new.default_mounting(), serving.default_mounting()
    if min(float(np.dot(usual.up, before.up)), float(np.dot(usual.forward, before.forward))) < SAME_AXES_COS:
        raise BundleError(f"{new.path}: its default mounting is not the one in use: this needs a restart")
