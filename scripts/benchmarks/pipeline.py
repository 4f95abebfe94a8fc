"""Part 2: what each stage costs a window by itself, and the whole daemon against the floor that nobody can go below."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.generator import Motions, Order
from hard.daemon import wiring
from hard.model.classifier import Classifier, load
from hard.mqtt.outbox import Outgoing
from hard.outputs.publisher import Batch, PublishCallbacks
from hard.recordings.default_rules import bundle_devices
from hard.records import Message, Samples, Window
from hard.settings import Settings

TOPICS = ("sensors/{device}/accel",)
DEVICES, TURNS = 256, 12
LEAST_S = 0.3


def stages(folder: Path, batch: int) -> dict[str, float]:
    """CPU ms a window of each stage, alone on one thread, with messages of a second and `batch` windows at once."""
    classifier = load(folder)
    messages = _messages()
    decoder = wiring.decoder(Settings())
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
        "scorer": _each(lambda: classifier._scorer.score(ids, mask), batch),
        "label": _publishing(classifier, some),
    }


def _messages() -> list[Message]:
    """What the generator sends: three seconds of each device, then a second a message."""
    motions = Motions(Order(port=0, devices=DEVICES, messages_s=1, seconds=1))
    payloads = [(i, motions.first(i)) for i in range(DEVICES)]
    payloads += [(i, motions.next(i, turn)) for turn in range(TURNS) for i in range(DEVICES)]
    return [Message(f"sensors/d{i}/accel", payload, n * 1e-3, n * 1e-3) for n, (i, payload) in enumerate(payloads)]


def _windows(classifier: Classifier, samples: Sequence[Samples]) -> list[Window]:
    made = bundle_devices(classifier.bundle)
    return [window for piece in samples for window in made.push(piece)[0]]


def _publishing(classifier: Classifier, windows: Sequence[Window]) -> float:
    """From predictions to bytes: the smoothed state, the payload, the counters' calls."""
    callbacks = PublishCallbacks(lambda *_: None, lambda _: None, lambda *_: None)
    publisher = wiring.make_publisher(Settings(), _rendered, callbacks, lambda _: True, None)
    predictions = classifier.classify(windows)
    batch = Batch(predictions, classifier.labels, classifier.bundle.model, 0.0, 0.0)
    return _each(lambda: publisher.publish(batch), len(windows))


def _rendered(outgoing: Outgoing) -> None:
    outgoing.render()


def _each(work: Callable[[], Any], count: int) -> float:
    """CPU ms of one of `count` things that `work` does: the median of calls."""
    work()
    spent: list[float] = []
    while sum(spent) < LEAST_S or len(spent) < 3:
        begun = time.thread_time()
        work()
        spent.append(time.thread_time() - begun)
    return float(np.median(spent)) / count * 1e3
