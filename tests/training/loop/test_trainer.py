"""Training lowers the loss, is measured on generated text, and stops where nothing can be learnt."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import astuple
from training import resume
from training.data.examples import DrawnExamples, Examples
from training.errors import StoppedError
from training.loop import progress
from training.loop.guards import IGNORED
from training.loop.trained import Trained
from training.loop.trainer import (
    OWNER,
    Collator,
    GuardedTrainer,
    either_loss,
    generated,
    generated_metrics,
    loss_on,
    served_score,
    train,
)
from training.model import initial
from training.model.tokenizer import train_tokenizer
from training.options import Options
from training.recipe import finalise
from transformers import AutoTokenizer, EvalPrediction, T5ForConditionalGeneration
from transformers.trainer_pt_utils import LabelSmoother

LABELS = ("Walking", "Sitting")
WORDS = [f"v.std:{level:02d}" for level in range(8)]

# accelerate's own habit on a machine without a GPU.
pytestmark = pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")


@pytest.fixture
def lesson() -> tuple[Any, Any, Examples]:
    """A tiny model, its tokenizer, and prompts whose first word gives the label away."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["v.std:00"], WORDS, LABELS)
    rng = np.random.default_rng(0)
    level = rng.integers(0, 8, (64, 3))
    places = np.array(tokenizer.convert_tokens_to_ids(["▁" + w for w in WORDS]))
    ids = np.concatenate((places[level], np.ones((64, 1), dtype=np.int64)), axis=1)
    label_tokens = [tokenizer(label)["input_ids"] for label in LABELS]
    examples = Examples(ids, np.ones_like(ids), (level[:, 0] < 4).astype(np.int64), label_tokens)
    return initial.scratch(tokenizer, [WORDS]), tokenizer, examples


def drawn(examples: Examples) -> DrawnExamples:
    """Some rows more often than others, a tenth of the words dropped."""
    return DrawnExamples(examples, np.linspace(1, 2, len(examples)), len(examples), word_dropout=0.1)


def teach(lesson: tuple[Any, Any, Examples], folder: Path, lr: float = 5e-3, **options: Any) -> Trained:
    """Twenty steps, two an epoch."""
    model, tokenizer, examples = lesson
    return train(
        model,
        tokenizer,
        labels=LABELS,
        recipe=replace(finalise(Options(data=(), out=folder, batch=32, epochs=10, patience=20)), lr=lr),
        precision="fp32",
        folder=folder,
        **{"examples": (drawn(examples), examples), **options},
    )


def test_twenty_steps_lower_the_loss(lesson: tuple[Any, Any, Examples], tmp_path: Path) -> None:
    trained = teach(lesson, tmp_path)
    losses = [epoch.training_loss for epoch in trained.history]
    evaluations, reached = zip(*((e.validation_loss, e.macro_f1) for e in trained.history), strict=True)
    assert len(losses) == trained.passed == 10
    assert 0 < losses[-1] < 0.7 * losses[0]
    assert 0 < evaluations[-1] < evaluations[0]
    assert max(reached) > 0.5
    assert trained.epochs == 1 + int(np.argmax(reached))
    assert not trained.out_of_time


def test_the_epoch_is_chosen_by_labels_as_they_are_served(lesson: tuple[Any, Any, Examples], tmp_path: Path) -> None:
    model, _, examples = lesson
    other = int(examples.ids[0, 0])  # no label's token, and what the model writes

    def spoil(module: Any, given: Any, made: torch.Tensor) -> torch.Tensor | None:
        return None if torch.is_grad_enabled() else made.index_fill(-1, torch.tensor([other]), 100.0)

    model.lm_head.register_forward_hook(spoil)
    trained = teach(lesson, tmp_path)
    reached = [epoch.macro_f1 for epoch in trained.history]
    assert max(reached) > 0.5
    assert trained.epochs == 1 + int(np.argmax(reached))
    assert served_score(model, examples, LABELS, 7).macro_f1 == max(reached)


def test_interrupted_within_an_epoch_it_reports_the_same_losses(
    lesson: tuple[Any, Any, Examples], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, begun = lesson[0], {name: value.clone() for name, value in lesson[0].state_dict().items()}
    whole = teach(lesson, tmp_path / "whole")
    model.load_state_dict(begun)
    monkeypatch.setattr(progress, "SAVE_EVERY_S", 0.0)  # after each update
    own = GuardedTrainer.training_step

    def interrupted(self: GuardedTrainer, *arguments: Any, **named: Any) -> torch.Tensor:
        if self.state.global_step == 7:  # the fourth epoch's first update is done
            raise KeyboardInterrupt
        return own(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(GuardedTrainer, "training_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            teach(lesson, tmp_path / "broken")
    model.load_state_dict(begun)
    kept = resume.last_checkpoint(tmp_path / "broken")
    assert kept == tmp_path / "broken" / "checkpoint-7"
    resumed = teach(lesson, tmp_path / "broken", resume_from=kept)
    before, after = (np.array([astuple(epoch) for epoch in run.history]) for run in (whole, resumed))
    np.testing.assert_allclose(after, before, rtol=1e-5)


def test_twenty_steps_uphill_are_no_training(lesson: tuple[Any, Any, Examples], tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match=r"the loss has risen from .* in 20 updates: .* lower --lr"):
        teach(lesson, tmp_path, lr=-1.0)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda loss: loss * float("nan"), "the loss is nan at step 1"),
        (lambda loss: loss * 0, "the loss is exactly zero at step 1"),
    ],
)
def test_a_spoilt_loss_stops_the_first_step(
    lesson: tuple[Any, Any, Examples], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any, sentence: str
) -> None:
    model = lesson[0]
    before = model.shared.weight.detach().clone()
    own = GuardedTrainer.compute_loss
    monkeypatch.setattr(GuardedTrainer, "compute_loss", lambda *a, **k: spoil(own(*a, **k)))
    with pytest.raises(StoppedError, match=sentence):
        teach(lesson, tmp_path)
    assert torch.equal(model.shared.weight, before)


def test_a_nan_among_the_weights_stops_the_first_step(lesson: tuple[Any, Any, Examples], tmp_path: Path) -> None:
    model = lesson[0]
    with torch.no_grad():
        model.encoder.block[0].layer[1].DenseReluDense.wo.weight[0, 0] = float("nan")
    with pytest.raises(StoppedError, match=re.escape("the loss is nan at step 1")):
        teach(lesson, tmp_path)


def test_the_guard_sees_gradients_before_each_update(lesson: tuple[Any, Any, Examples], tmp_path: Path) -> None:
    lesson[0].shared.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(StoppedError, match="a gradient is not finite at step 1"):
        teach(lesson, tmp_path)


def test_metrics_read_text_and_survive_padding(lesson: tuple[Any, Any, Examples]) -> None:
    _, tokenizer, _ = lesson
    walking, sitting = (tokenizer(label)["input_ids"] for label in LABELS)
    pad = [IGNORED]
    truth = np.array([walking + pad, sitting + pad, walking + pad, sitting + pad])
    echo = tokenizer("v.std:03 v.std:03")["input_ids"]
    generated_ids = np.array([[0, *walking, IGNORED], [0, *sitting, 0], [0, *sitting, IGNORED], [0, *echo]])
    metrics = generated_metrics(tokenizer, LABELS)(EvalPrediction(predictions=generated_ids, label_ids=truth))
    assert metrics["accuracy"] == 0.5
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_the_test_loss_is_what_trainer_calls_a_loss(tiny_flan: Callable[..., Path]) -> None:
    folder, prompt = tiny_flan(), "classify activity: x-axis mean 4.01"
    model, tokenizer = T5ForConditionalGeneration.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = np.array(tokenizer([prompt] * 3)["input_ids"])
    labels = [tokenizer(text)["input_ids"] for text in ("Walking", "Jogging")]
    examples = Examples(ids, np.ones_like(ids), np.array([0, 1, 0]), labels)
    each = []
    model.eval()
    for k in (0, 1, 0):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor(ids[:1]), labels=torch.tensor([labels[k]])).logits[0]
        each += (-torch.log_softmax(logits, -1)[range(len(labels[k])), labels[k]]).tolist()
    assert loss_on(model, tokenizer, examples, batch=2) == pytest.approx(np.mean(each), rel=1e-5)
    assert loss_on(model, tokenizer, examples, smoothing=0.5) != pytest.approx(np.mean(each), rel=1e-3)
    assert len(generated(model, tokenizer, examples.__getitems__([0, 2]))) == 2


def test_one_of_two_labels_costs_the_logarithm_of_their_summed_probability(tiny_flan: Callable[..., Path]) -> None:
    folder = tiny_flan()
    model, tokenizer = T5ForConditionalGeneration.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = np.array(tokenizer(["x-axis mean 4.01"] * 3)["input_ids"])
    labels = [tokenizer(text)["input_ids"] for text in ("Walking", "Jogging")]
    model.eval()

    def loss(label: list[int], smoothing: float = 0.0) -> float:
        examples = Examples(ids, np.ones_like(ids), np.array(label), labels, either=[[0, 1]])
        batch = Collator(tokenizer, model)(examples.__getitems__(range(3)))
        with torch.inference_mode():
            if OWNER not in batch:
                return float(LabelSmoother(smoothing)(model(**batch), batch["labels"]))
            return float(either_loss(model, batch, smoothing))

    lengths = [len(tokens) for tokens in labels]
    logs = [-loss([k] * 3) * lengths[k] for k in (0, 1)]  # of a label's probability
    summed = np.log(np.exp(logs[0]) + np.exp(logs[1]))
    assert loss([2] * 3) == pytest.approx(-summed / np.mean(lengths), rel=1e-5)
    mixed = -(logs[0] + logs[1] + summed) / (sum(lengths) + np.mean(lengths))
    assert loss([0, 1, 2]) == pytest.approx(mixed, rel=1e-5)
    assert loss([0, 1, 2], 0.3) != pytest.approx(mixed, rel=1e-3)
    either = Examples(ids, np.ones_like(ids), np.array([1, 1, 1]), labels, either=[[1, 1]])
    same = Collator(tokenizer, model)(either.__getitems__(range(3))) | {OWNER: torch.arange(3)}
    assert float(either_loss(model, same, 0.3).detach()) == pytest.approx(loss([1] * 3, 0.3), rel=1e-5)
