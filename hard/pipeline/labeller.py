"""The label thread's work: takes the windows that wait, labels them as one batch and publishes the predictions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import monotonic

from hard.model.classifier import Classifier
from hard.monitoring.metrics import Metrics
from hard.monitoring.rate_limited_log import RateLimitedLog
from hard.outputs.publisher import Batch, Publisher
from hard.pipeline.window_queue import WindowQueue
from hard.pipeline.workers import FairLock, Progress
from hard.records import Prediction, Window

log = logging.getLogger(__name__)


class Labeller:
    """There is no timer: the next batch is what came while this one was labelled. A window that can't be labelled goes
    to `failed`. Publishing and the Python part of labelling hold `lock`."""

    def __init__(
        self, classifier: Classifier, *, window_queue: WindowQueue, publisher: Publisher, metrics: Metrics,
        max_batch: int, lock: FairLock, failed: Callable[[Window], None],
    ) -> None:  # fmt: skip
        self._classifier, self._window_queue, self._publisher = classifier, window_queue, publisher
        self._metrics, self._max_batch, self._lock, self._failed = metrics, max_batch, lock, failed
        self._limited = RateLimitedLog(log)

    @property
    def classifier(self) -> Classifier:
        """The classifier of the next batch."""
        return self._classifier

    def work(self, progress: Progress) -> None:
        """Runs until the queue is closed and drained."""
        while windows := self._window_queue.take(self._max_batch):
            progress.begin()
            self._label(windows, progress)
            progress.rest()

    def change(self, classifier: Classifier, max_batch: int) -> None:
        """Holds from the next batch on; a batch in work is finished as it was begun."""
        self._classifier, self._max_batch = classifier, max_batch

    def _label(self, windows: Sequence[Window], progress: Progress) -> None:
        classifier, begun = self._classifier, monotonic()
        predictions = self._classify(classifier, windows, progress)
        ended = monotonic()
        with self._lock:
            for window in windows:
                if not window.replayed:
                    self._metrics.stage["queue"].observe(max(0.0, begun - window.received_at))
            self._metrics.stage["infer"].observe(ended - begun)
            self._metrics.batch.observe(len(windows))
            self._publisher.publish(Batch(predictions, classifier.labels, classifier.bundle.model, begun, ended))
        self._metrics.stage["publish"].observe(monotonic() - ended)

    def _classify(self, classifier: Classifier, windows: Sequence[Window], progress: Progress) -> list[Prediction]:
        """One prediction for each window that can be labelled. If a batch raises, its windows are tried one by one."""
        try:
            return classifier.classify(windows, self._lock)
        except Exception:
            self._limited.warning("batch", "a batch of %d failed, trying its windows one by one", len(windows))
        predictions = []
        for window in windows:
            progress.step()
            try:
                predictions += classifier.classify([window], self._lock)
            except Exception as error:
                self._failed(window)
                self._limited.warning("window", "window %s can't be labelled: %s", window.window_id, error)
        return predictions
