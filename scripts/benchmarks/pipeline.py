"""Part 2: what each stage of the daemon costs a window, measured alone on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.generator import Motions, Order
from hard.daemon import wiring
from hard.model.bundle import GRAPHS
from hard.model.classifier import Classifier, load
from hard.model.scorer_onnx import OnnxScorer
from hard.mqtt.outbox import Outgoing
from hard.outputs.publisher import Batch, PublishCallbacks
from hard.recordings.default_rules import bundle_devices
from hard.records import Message, Samples, Window
from hard.settings import Settings

DEVICES, TURNS = 256, 12
MIN_S = 0.3


def stages(folder: Path, batch: int) -> dict[str, float]:
    """CPU ms a window of each stage, with messages of one second and `batch` windows at once."""
    classifier = load(folder)
    scorer = OnnxScorer(folder / GRAPHS[classifier.bundle.manifest.precision], threads=1)
    messages = _messages()
    decoder = wiring.make_decoder(Settings())
    samples = [decoder.decode(message) for message in messages]
    windows = _windows(classifier, samples)
    some = windows[-batch:]
    features = classifier.features(some)
    ids, mask = classifier.tokens(features)
    return {
        "decode": _each(lambda: [decoder.decode(message) for message in messages], len(messages)),
        "window": _each(lambda: _windows(classifier, samples), len(samples)),
        "features": _each(lambda: classifier.features(some), batch),
        "tokens": _each(lambda: classifier.tokens(features), batch),
        "prompt text": _each(lambda: classifier.prompts(some), batch) - _each(lambda: classifier.features(some), batch),
        "scorer": _each(lambda: scorer.score(ids, mask), batch),
        "label": _publishing(classifier, some),
    }


def _messages() -> list[Message]:
    """The messages of the load generator: three seconds of each device, then a second a message."""
    motions = Motions(Order(port=0, devices=DEVICES, messages_s=1, seconds=1))
    payloads = [(i, motions.first(i)) for i in range(DEVICES)]
    payloads += [(i, motions.next(i, turn)) for turn in range(TURNS) for i in range(DEVICES)]
    return [Message(f"sensors/d{i}/accel", payload, n * 1e-3, n * 1e-3) for n, (i, payload) in enumerate(payloads)]


def _windows(classifier: Classifier, samples: Sequence[Samples]) -> list[Window]:
    devices = bundle_devices(classifier.bundle)
    return [window for piece in samples for window in devices.push(piece)[0]]


def _publishing(classifier: Classifier, windows: Sequence[Window]) -> float:
    """From predictions to bytes: the smoothed state, the payload, calls of the counters."""
    callbacks = PublishCallbacks(*[lambda *_: None] * 4)
    publisher = wiring.make_publisher(
        Settings(), classifier.bundle, _rendered, callbacks, known=lambda _: True, discovery=None
    )
    predictions = classifier.classify(windows)
    batch = Batch(predictions, classifier.labels, classifier.bundle.model, 0.0, 0.0)
    return _each(lambda: publisher.publish(batch), len(windows))


def _rendered(outgoing: Outgoing) -> None:
    outgoing.render()


def _each(work: Callable[[], Any], count: int) -> float:
    """Median CPU ms of a call of `work`, divided by the `count` of what it works on."""
    work()
    spent: list[float] = []
    while sum(spent) < MIN_S or len(spent) < 3:
        begun = time.thread_time()
        work()
        spent.append(time.thread_time() - begun)
    return float(np.median(spent)) / count * 1e3
