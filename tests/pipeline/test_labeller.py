"""The labeller: batches, windows that can't be labelled, and a reload's classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from hard.monitoring.metrics import Metrics
from hard.outputs.publisher import Batch
from hard.pipeline.labeller import Labeller
from hard.pipeline.window_queue import QueueBounds, WindowQueue
from hard.pipeline.workers import FairLock, Progress
from hard.records import Prediction, Window

UP = np.array([0, 0, 1], np.float32)


def window(device: str, end: float = 4.0) -> Window:
    return Window(device, end - 4.0, end, np.zeros((80, 3), np.float32), 1.0, UP, UP, False, 0.0, 0.0, 0.0)


class FakeClassifier:
    """Labels each window by `label`; windows of a device named "bad" raise. `during` is called in each batch."""

    labels = ("Walking", "Sitting")

    def __init__(self, label: str = "Walking", model: str = "one", during: Callable[[], None] = lambda: None) -> None:
        self.label, self.during, self.bundle = label, during, SimpleNamespace(model=model)
        self.batches: list[list[str]] = []

    def classify(self, windows: Sequence[Window], lock: FairLock) -> list[Prediction]:
        with lock:
            self.batches.append([window.device for window in windows])
        self.during()
        if any(window.device == "bad" for window in windows):
            raise ValueError("not finite")
        return [Prediction(window, self.label, 1.0, np.array([1.0, 0.0])) for window in windows]


class Pipeline:
    """The real labeller, queue and metrics; publisher and classifier are fakes."""

    def __init__(self, classifier: FakeClassifier, max_batch: int = 8) -> None:
        self.queue = WindowQueue(lambda reason, windows: None, QueueBounds(30.0, 1000, 50_000))
        self.batches: list[Batch] = []
        self.failed: list[Window] = []
        self.metrics, self.progress = Metrics(CollectorRegistry(), []), Progress()
        publisher: Any = SimpleNamespace(publish=self.batches.append)
        self.labeller = Labeller(
            classifier, window_queue=self.queue, publisher=publisher, metrics=self.metrics,  # type: ignore[arg-type]
            max_batch=max_batch, lock=FairLock(), failed=self.failed.append,
        )  # fmt: skip

    def work(self, *windows: Window) -> None:
        """Labels the windows and ends."""
        self.queue.put(windows)
        self.queue.close()
        self.labeller.work(self.progress)

    def published(self) -> list[tuple[str, str, str]]:
        """Device, label and model of each prediction, in order."""
        return [(p.window.device, p.label, batch.model) for batch in self.batches for p in batch.predictions]


def test_what_waits_is_labelled_in_batches_of_at_most_max_batch() -> None:
    classifier = FakeClassifier()
    pipeline = Pipeline(classifier, max_batch=2)
    pipeline.work(window("a"), window("b"), window("c"))
    assert classifier.batches == [["a", "b"], ["c"]]
    assert pipeline.published() == [(device, "Walking", "one") for device in "abc"]
    assert [batch.labels for batch in pipeline.batches] == [FakeClassifier.labels] * 2
    assert all(batch.begun <= batch.ended for batch in pipeline.batches)
    assert not pipeline.failed


def test_a_window_that_cannot_be_labelled_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    classifier = FakeClassifier()
    pipeline = Pipeline(classifier)
    pipeline.work(window("a"), window("bad"), window("b"))
    assert classifier.batches == [["a", "bad", "b"], ["a"], ["bad"], ["b"]]
    assert [device for device, *_ in pipeline.published()] == ["a", "b"]
    assert [failed.device for failed in pipeline.failed] == ["bad"]
    assert "a batch of 3 failed" in caplog.text
    assert "window bad:4000 can't be labelled: not finite" in caplog.text


def test_each_window_tried_alone_is_progress() -> None:
    pipeline = Pipeline(FakeClassifier())
    pipeline.work(window("a"), window("bad"), window("b"))
    assert pipeline.progress.steps == 3 + 1
    assert not pipeline.progress.busy


def test_it_is_busy_while_it_labels() -> None:
    busy = list[bool]()
    pipeline = Pipeline(FakeClassifier(during=lambda: busy.append(pipeline.progress.busy)))
    pipeline.work(window("a"))
    assert (busy, pipeline.progress.busy) == ([True], False)


def test_a_change_holds_from_the_next_batch_on() -> None:
    new = FakeClassifier("Sitting", "two")
    old = FakeClassifier(during=lambda: pipeline.labeller.change(new, 1))  # type: ignore[arg-type]
    pipeline = Pipeline(old, max_batch=2)
    pipeline.work(window("a"), window("b"), window("c"), window("d"))
    walking, sitting = ("Walking", "one"), ("Sitting", "two")
    assert pipeline.published() == [("a", *walking), ("b", *walking), ("c", *sitting), ("d", *sitting)]
    assert (old.batches, new.batches) == ([["a", "b"]], [["c"], ["d"]])
    assert pipeline.labeller.classifier is new


def test_a_change_during_a_batch_that_fails_does_not_mix_two_models() -> None:
    new = FakeClassifier("Sitting", "two")
    old = FakeClassifier(during=lambda: pipeline.labeller.change(new, 8))  # type: ignore[arg-type]
    pipeline = Pipeline(old)
    pipeline.work(window("a"), window("bad"))
    assert pipeline.published() == [("a", "Walking", "one")]
    assert new.batches == []


def test_windows_of_an_earlier_process_have_no_queue_time() -> None:
    pipeline = Pipeline(FakeClassifier())
    pipeline.work(replace(window("a"), replayed=True), window("b"))

    def observed(stage: str) -> float:
        return pipeline.metrics.stage[stage].buckets()[0][-1][1]

    assert {stage: observed(stage) for stage in ("queue", "infer", "publish")} == {"queue": 1, "infer": 1, "publish": 1}
    assert pipeline.metrics.batch.buckets()[1] == 2, "one batch of two"


def test_an_error_of_the_publisher_ends_the_work() -> None:
    pipeline = Pipeline(FakeClassifier())

    def fail(_: Batch) -> None:
        raise OSError("no")

    pipeline.labeller = Labeller(
        FakeClassifier(), window_queue=pipeline.queue, publisher=SimpleNamespace(publish=fail),  # type: ignore[arg-type]
        metrics=pipeline.metrics, max_batch=8, lock=FairLock(), failed=pipeline.failed.append,
    )  # fmt: skip
    with pytest.raises(OSError, match="no"):
        pipeline.work(window("a"))
    assert not pipeline.failed
