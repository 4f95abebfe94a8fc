"""The table that ends a fine-tune tells the original failure as what it was, and a sound run as sound."""

import math

import numpy as np
import pytest
import torch
from training.data.examples import Examples
from training.loop.trainer import generated, loss_on
from training.results.outcome import Outcome, Sample, Trial
from training.results.promises import promises, training_figures

PROMPT = "classify activity: x-axis mean 4.01"
TESTED = {"test": Outcome(("Jogging",), np.array(["Jogging"]), np.array(["1"]), np.ones((1, 1)), np.ones(1))}


def kept(trial: Trial) -> list[str]:
    return [verdict for _, _, verdict in promises(training_figures(trial), 0.8)]


def trial(losses: list[tuple[float, float]], test_loss: float, *written: str) -> Trial:
    history = [(float(i), *pair, 0.5) for i, pair in enumerate(losses, 1)]
    samples = [Sample("Jogging", "Jogging", 0.9, text, PROMPT) for text in written]
    return Trial(TESTED, history, 12, {}, test_loss, samples)


def test_a_sound_run_keeps_all() -> None:
    assert kept(trial([(1.2, 0.9), (0.6, 0.7)], 0.8, "Jogging", "Jogging")) == ["yes", "yes", "yes", "", "yes"]


@pytest.mark.parametrize(
    ("made", "verdicts"),
    [
        (trial([(0.0, math.nan), (0.0, math.nan)], math.nan, "x-axis mean 4.01"), ["NO", "NO", "NO", "", "NO"]),
        (trial([(1.0, 1.0), (1.0, 1.1)], 0.8, "Jogging", "x-axis"), ["NO", "NO", "yes", "", "NO"]),
    ],
    ids=["the original", "nothing learnt"],
)
def test_a_failure_is_told(made: Trial, verdicts: list[str]) -> None:
    assert kept(made) == verdicts


def test_the_test_loss_is_what_trainer_calls_a_loss(tiny_flan: object) -> None:
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    folder = tiny_flan()  # type: ignore[operator]
    model, tokenizer = T5ForConditionalGeneration.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = np.array(tokenizer([PROMPT] * 3)["input_ids"])
    labels = [tokenizer(text)["input_ids"] for text in ("Walking", "Jogging")]
    examples = Examples(ids, np.ones_like(ids), np.array([0, 1, 0]), labels)
    each = []
    model.eval()
    for k in (0, 1, 0):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor(ids[:1]), labels=torch.tensor([labels[k]])).logits[0]
        each += (-torch.log_softmax(logits, -1)[range(len(labels[k])), labels[k]]).tolist()
    assert loss_on(model, tokenizer, examples, batch=2) == pytest.approx(np.mean(each), rel=1e-5)
    assert loss_on(model, tokenizer, examples, smoothing=0.1) != pytest.approx(np.mean(each), rel=1e-3)
    assert len(generated(model, tokenizer, examples.__getitems__([0, 2]))) == 2
