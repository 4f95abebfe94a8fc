"""The backends that are compared: they give the same probabilities, and each is measured."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed (extra bench)")
import torch
from benchmarks import backends, models, scoring
from transformers import T5ForConditionalGeneration

from hard.model import bundle

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> models.Subject:
    """The default bundle, compiled anew."""
    default = bundle.read()
    model = T5ForConditionalGeneration.from_pretrained(default.path, dtype=torch.float32)
    return models.compiled("small", default, model, tmp_path_factory.mktemp("models") / "small")


def test_a_subject_is_a_bundle_with_the_ids_of_its_prompts(subject: models.Subject) -> None:
    assert bundle.read(subject.folder).manifest.labels == bundle.read().manifest.labels
    assert len(subject.ids) == models.PROMPTS
    assert subject.flops > 1e6


def test_all_backends_score_the_same_model(subject: models.Subject, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter that the plain way uses
        compared = backends.backends(subject, tmp_path, threads=1)
    assert tuple(compared) == backends.ALL
    exact = compared[backends.SCORING](subject.ids[:4])
    assert exact is not None
    np.testing.assert_allclose(exact.sum(axis=1), 1.0, atol=1e-5)
    for name in (backends.CTRANSLATE2, backends.PLAIN, backends.OURS_FP32, backends.OURS_INT8):
        found = compared[name](subject.ids[:4])
        assert found is not None
        np.testing.assert_allclose(found, exact, atol=0.1, err_msg=name)


def test_every_backend_has_a_row_for_each_batch(
    subject: models.Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "MIN_S", 0.0)
    (tmp_path / "small").mkdir()
    rows = scoring.measure([subject], tmp_path, quick=True, say=lambda _: None)
    assert {row["backend"] for row in rows} == set(backends.ALL)
    assert len(rows) == 2 * len(backends.ALL) - 1  # one by one, the notebook's way has no batch of 32
    assert all(row["windows_s"] > 0 for row in rows)
