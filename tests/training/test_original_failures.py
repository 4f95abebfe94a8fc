"""The fine-tune this project began with trained for 45 minutes and learnt nothing. Each cause that its write-up names,
and the two that it missed, provoked on a tiny model: caught, or shown to be harmless."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training.data import split
from training.data.examples import DrawnExamples, Examples
from training.data.loading import LabelledWindows
from training.errors import RefusedError, StoppedError
from training.loop.guards import IGNORED, choose_precision
from training.loop.trainer import GuardedTrainer, arguments, generated_metrics, train
from training.model import initial
from training.model.tokenizer import train_tokenizer
from training.options import Options
from training.recipe import Recipe, finalise
from transformers import (
    DataCollatorForSeq2Seq,
    EvalPrediction,
    GenerationConfig,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
)

LABELS = ("Walk", "Walk Up")  # of two and three tokens, so that one is padded
WORDS = [f"v.std:{level:02d}" for level in range(8)]

# accelerate's own habit on a machine without a GPU.
pytestmark = pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")


class Lesson:
    """A tiny model, and prompts whose first word gives the label away; 16 updates an epoch."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.tokenizer = train_tokenizer(["v.std:00"], WORDS, LABELS)
        self.model = initial.scratch(self.tokenizer, [WORDS])
        level = np.random.default_rng(0).integers(0, 8, (128, 3))
        ids = np.array(self.tokenizer.convert_tokens_to_ids(["▁" + w for w in WORDS]))[level]
        ids = np.concatenate((ids, np.ones((128, 1), dtype=np.int64)), axis=1)
        tokens = [self.tokenizer(label)["input_ids"] for label in LABELS]
        self.examples = Examples(ids, np.ones_like(ids), (level[:, 0] < 4).astype(np.int64), tokens)

    def recipe(self, folder: Path, *, lr: float = 5e-3, **choices: Any) -> Recipe:
        made = finalise(Options(**{"data": (), "out": folder, "batch": 8, "epochs": 1, **choices}))
        return replace(made, lr=lr)  # 0 too, which would be refused

    def teach(self, folder: Path, **choices: Any) -> Any:
        return train(
            self.model,
            self.tokenizer,
            examples=(DrawnExamples(self.examples, np.ones(128), 128), self.examples),
            labels=LABELS,
            recipe=self.recipe(folder, **choices),
            precision="fp32",
            folder=folder,
        )

    def batch(self, **padding: Any) -> Any:
        collate = DataCollatorForSeq2Seq(self.tokenizer, model=self.model, **padding)
        rows = [int((self.examples.label == k).argmax()) for k in range(2)]
        return collate([dict(example) for example in self.examples.__getitems__(rows)])

    def loss(self, batch: Any) -> float:
        with torch.inference_mode():
            return float(self.model.eval()(**batch).loss)


@pytest.fixture
def lesson() -> Lesson:
    return Lesson()


def test_1_dynamic_padding_is_harmless(lesson: Lesson) -> None:
    short, long = lesson.batch(), lesson.batch(padding="max_length", max_length=64)
    assert short["input_ids"].shape[1] < long["input_ids"].shape[1] == 64
    assert lesson.loss(short) == pytest.approx(lesson.loss(long), abs=1e-4)


def test_1_labels_padded_with_the_pad_token_are_refused(lesson: Lesson, tmp_path: Path) -> None:
    right, wrong = lesson.batch(), lesson.batch(label_pad_token_id=0)
    assert (right["labels"] == IGNORED).any()
    assert lesson.loss(right) != pytest.approx(lesson.loss(wrong), abs=1e-2)
    with pytest.raises(RefusedError, match="labels are padded with the pad token 0"):
        GuardedTrainer(
            guard=None,
            model=lesson.model,
            args=arguments(lesson.recipe(tmp_path), "fp32", tmp_path),
            train_dataset=lesson.examples,
            eval_dataset=lesson.examples,
            data_collator=DataCollatorForSeq2Seq(lesson.tokenizer, model=lesson.model, label_pad_token_id=0),
        )


def test_2_metrics_are_computed_though_minus_100_stands_in_what_is_decoded(lesson: Lesson, tmp_path: Path) -> None:
    walk, up = (lesson.tokenizer(label)["input_ids"] for label in LABELS)
    padded = np.array([[*walk, IGNORED], up])
    with pytest.raises((OverflowError, TypeError, IndexError, ValueError)):  # what decoding it as it is comes to
        lesson.tokenizer.batch_decode(padded)
    generated = np.array([[0, *walk, IGNORED], [0, *up]])
    metrics = generated_metrics(lesson.tokenizer, LABELS)(EvalPrediction(predictions=generated, label_ids=padded))
    assert metrics == {"accuracy": 1.0, "macro_f1": 1.0}
    for epoch in lesson.teach(tmp_path).history:
        assert np.isfinite([epoch.training_loss, epoch.validation_loss, epoch.macro_f1]).all()


def test_3_trainer_takes_processing_class_and_no_tokenizer() -> None:
    named = inspect.signature(Seq2SeqTrainer.__init__).parameters
    assert "processing_class" in named
    assert "tokenizer" not in named


def test_4_the_optimizer_is_adafactor_at_the_rate_asked_for(lesson: Lesson, tmp_path: Path) -> None:
    settings = arguments(lesson.recipe(tmp_path, base="some/t5"), "fp32", tmp_path)
    assert (settings.optim, settings.lr_scheduler_type, settings.max_grad_norm) == ("adafactor", "constant", 0)
    trainer = Seq2SeqTrainer(model=lesson.model, args=settings, eval_dataset=lesson.examples)
    group = trainer.create_optimizer().param_groups[0]
    assert (group["lr"], group["scale_parameter"], group["relative_step"]) == (5e-3, False, False)


def test_4_a_rate_that_diverges_or_moves_nothing_stops(lesson: Lesson, tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match="no weight has moved in 10 updates: the learning rate is 0"):
        lesson.teach(tmp_path / "still", lr=0.0)
    with pytest.raises(StoppedError, match="the loss has not fallen by 1 % in 100 updates"):
        lesson.teach(tmp_path / "slow", lr=1e-7, epochs=7, patience=9, schedule="constant")
    with pytest.raises(StoppedError, match=r"the loss (has been .* to the digit for 50 updates|is (nan|inf))"):
        Lesson().teach(tmp_path / "wild", lr=1e6, epochs=7, patience=9, schedule="constant")


def test_5_a_temperature_without_sampling_makes_saving_raise_and_ours_does_not(lesson: Lesson, tmp_path: Path) -> None:
    lesson.model.generation_config = GenerationConfig(temperature=0.7, top_p=0.9, num_beams=1, do_sample=False)
    with pytest.raises(ValueError, match=r"temperature|top_p|[Gg]eneration"):
        lesson.model.save_pretrained(tmp_path / "theirs")
    ours = Lesson()
    ours.teach(tmp_path / "work")
    ours.model.save_pretrained(tmp_path / "ours")
    assert (tmp_path / "ours" / "model.safetensors").exists()


def test_missed_1_fp16_is_refused_wherever_it_is_asked_for(lesson: Lesson, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="fp16 is refused"):
        choose_precision("fp16")
    settings = arguments(lesson.recipe(tmp_path), "fp32", tmp_path)
    assert not settings.logging_nan_inf_filter  # it prints nan as 0.0
    settings.fp16 = True
    with pytest.raises(RefusedError, match="fp16 is refused"):
        GuardedTrainer(guard=None, args=settings, train_dataset=lesson.examples, data_collator=None)
    with pytest.raises(RefusedError, match=r"prints a loss of nan as 0\.0"):
        GuardedTrainer(guard=None, args=Seq2SeqTrainingArguments(tmp_path), train_dataset=None, data_collator=None)


def test_missed_1_what_fp16_does_to_a_t5_stops_at_once(lesson: Lesson, tmp_path: Path) -> None:
    # A feed-forward output beyond 65,504, as FLAN-T5's are, becomes infinite in half precision, and nan in a norm.
    layer = lesson.model.encoder.block[0].layer[1].DenseReluDense
    layer.wo.register_forward_hook(lambda module, given, made: (made * 1e6).half().float())
    with pytest.raises(StoppedError, match="the loss is nan at step 1"):
        lesson.teach(tmp_path)


def test_missed_1_updates_that_a_loss_scaler_skips_stop(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Adafactor

    monkeypatch.setattr(Adafactor, "step", lambda self, closure=None: None)
    with pytest.raises(StoppedError, match="the optimizer skips its updates as fp16's loss scaling does"):
        lesson.teach(tmp_path)


def test_missed_2_a_split_by_window_says_that_it_leaks() -> None:
    people = np.array([str(i) for i in range(10) for _ in range(20)])
    truth, none = np.array(["Walk", "Walk Up"] * 100), np.full(200, "")
    unread: Any = (None,) * 200
    windows = LabelledWindows(unread, truth, people, none, none, people, learnt=unread)
    by_person = split.by_subject(people.tolist(), ["3"], None, 0)
    assert by_person.mark("test") == ""
    assert not set(by_person.train) & {*by_person.validation, *by_person.test}
    _, at_random = split.at_random(windows, 0)
    assert at_random.kind == "random"
    assert "LEAKY" in at_random.mark("test")
    assert at_random.parts()["train"] == at_random.parts()["test"]  # the manifest names them on both sides
