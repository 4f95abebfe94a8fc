"""Model and examples → the same model, trained by transformers' Seq2SeqTrainer under guard. Knows no windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    DataCollatorForSeq2Seq,
    EarlyStoppingCallback,
    EvalPrediction,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
)

from hard.model.tokens import PAD_ID
from hard.scores import score
from training.examples import Examples
from training.guards import Guard
from training.recipe import Recipe

IGNORED = -100  # what DataCollatorForSeq2Seq pads labels with, and the loss leaves out
BEST = "eval_macro_f1"


class GuardedTrainer(Seq2SeqTrainer):
    """Hands every batch's loss to the guard before anything is made of it."""

    def __init__(self, guard: Guard, **arguments: Any) -> None:
        super().__init__(callbacks=[guard, *arguments.pop("callbacks", ())], **arguments)
        self._guard = guard

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(*arguments, **named)
        self._guard.check_loss(loss, self.state.global_step + 1)
        return loss


def train(
    model: Any,
    tokenizer: Any,
    *,
    examples: tuple[Examples, Examples],
    labels: Sequence[str],
    recipe: Recipe,
    precision: str,
    folder: Path,
) -> list[dict[str, float]]:
    """Trains `model` in place on the first of `examples`; the epoch with the best macro-F1 on the second is kept.

    `folder` takes checkpoints. Returns the log: a record an evaluation. Raises StoppedError.
    """
    trainer = GuardedTrainer(
        guard=Guard(),
        model=model,
        args=arguments(recipe, precision, folder),
        train_dataset=examples[0],
        eval_dataset=examples[1],
        processing_class=tokenizer,
        data_collator=DataCollatorForSeq2Seq(tokenizer, model=model, label_pad_token_id=IGNORED),
        compute_metrics=generated_metrics(tokenizer, labels),
        callbacks=[EarlyStoppingCallback(recipe.patience)],
    )
    trainer.train()
    return [dict(entry) for entry in trainer.state.log_history]


def arguments(recipe: Recipe, precision: str, folder: Path) -> Seq2SeqTrainingArguments:
    """Trainer's settings. Adafactor at the given rate, unclipped: it clips its own updates (Shazeer 2018)."""
    return Seq2SeqTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch,
        per_device_eval_batch_size=256 if recipe.base == "scratch" else 32,
        gradient_accumulation_steps=recipe.accumulate,
        learning_rate=recipe.lr,
        lr_scheduler_type=recipe.schedule,
        optim="adafactor",
        max_grad_norm=0,
        label_smoothing_factor=recipe.label_smoothing,
        fp16=False,
        bf16=precision == "bf16",
        logging_nan_inf_filter=False,
        logging_strategy="epoch",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        save_only_model=True,
        load_best_model_at_end=True,
        metric_for_best_model=BEST,
        greater_is_better=True,
        predict_with_generate=True,
        generation_max_length=16,
        generation_num_beams=1,
        seed=recipe.seed,
        data_seed=recipe.seed,
        report_to="none",
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
    )


def generated_metrics(tokenizer: Any, labels: Sequence[str]) -> Callable[[EvalPrediction], dict[str, float]]:
    """Exact-match accuracy and macro-F1 of freely generated text; text that is no label counts as wrong."""

    def texts(ids: Any) -> list[str]:
        # -100 stands in the truth and in what generate padded; no tokenizer can decode it.
        ids = np.where(np.asarray(ids) == IGNORED, PAD_ID, ids)
        return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        ids = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
        result = score(texts(prediction.label_ids), texts(ids), labels)
        return {"accuracy": result.accuracy, "macro_f1": result.macro_f1}

    return metrics
