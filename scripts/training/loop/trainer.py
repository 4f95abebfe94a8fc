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
    PrinterCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)
from transformers.trainer_pt_utils import LabelSmoother
from transformers.trainer_utils import EvalLoopOutput
from transformers.utils import logging

from hard.model.scorer_torch import label_scores
from hard.model.tokens import PAD_ID
from hard.recordings.scores import Score, score
from training.data.examples import OTHERS, DrawnExamples, Examples
from training.loop.guards import IGNORED, Guard, check_arguments, check_label_padding
from training.loop.progress import ProgressBar, TrainingClock
from training.loop.trained import SERVED_MACRO_F1, Trained, history_of
from training.model.checks import check_labels
from training.recipe import Recipe

OWNER = "owner"  # in a batch, of each row: the example that it belongs to
MAX_GENERATED = 16  # tokens: a label has few
BIG = 10_000_000  # parameters from which on evaluation goes in small batches


class DrawsAnew(TrainerCallback):
    """Draws `examples` anew for each epoch. accelerate's data loader does so too, but not in the epoch in which a
    training is resumed."""

    def __init__(self, examples: Any) -> None:
        self._examples = examples

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._examples.set_epoch(state.global_step * round(args.num_train_epochs) // state.max_steps)


class GuardedTrainer(Seq2SeqTrainer):
    """Hands every batch's loss to the guard before it is used, and evaluates as a bundle is served: among `labels`
    alone, where they are given. Raises RefusedError for settings that fail unseen: fp16, and labels padded with the pad
    token."""

    def __init__(self, guard: Guard, labels: Sequence[str] = (), **arguments: Any) -> None:
        check_arguments(arguments["args"])
        check_label_padding(arguments["data_collator"], arguments["train_dataset"], PAD_ID)
        super().__init__(callbacks=[guard, *arguments.pop("callbacks", ())], **arguments)
        self._labels = labels

    @property
    def guard(self) -> Guard:
        """The one given, or after resuming the one that goes on where that stopped."""
        return next(callback for callback in self.callback_handler.callbacks if isinstance(callback, Guard))

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(*arguments, **named)
        self.guard.check_loss(loss, self.state.global_step + 1)
        return loss

    def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        if OWNER in inputs:
            return either_loss(model, inputs, self.args.label_smoothing_factor)
        return super().compute_loss(model, inputs, *arguments, **named)

    def evaluation_loop(self, *arguments: Any, **named: Any) -> EvalLoopOutput:
        output = super().evaluation_loop(*arguments, **named)
        if self._labels:
            reached = served_score(self.model, self.eval_dataset, self._labels, self.args.eval_batch_size)
            output.metrics.update({"eval_served_accuracy": reached.accuracy, SERVED_MACRO_F1: reached.macro_f1})
        return output

    def log(self, logs: dict[str, float], *arguments: Any, **named: Any) -> None:
        # Trainer's own mean leaves out what an interruption within the epoch came after.
        mean = {"loss": self.guard.mean_since_logged()} if "loss" in logs else {}
        super().log({**logs, **mean}, *arguments, **named)

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        # A T5 saves the embedding that encoder, decoder and head share once; transformers then reports its other names,
        # embed_tokens and perhaps lm_head, as missing though loading the one has filled them all. Whatever else is
        # missing is still reported.
        own = dict(self.model.named_parameters(remove_duplicate=True))
        missing = [name for name in load_result.missing_keys if name in own]
        super()._issue_warnings_after_load(load_result._replace(missing_keys=missing))


def train(
    model: Any,
    tokenizer: Any,
    *,
    examples: tuple[DrawnExamples, Examples | None],
    labels: Sequence[str],
    recipe: Recipe,
    precision: str,
    folder: Path,
    begins_able: bool = False,
    epochs: float | None = None,
    deadline: float | None = None,
    resume_from: Path | None = None,
) -> Trained:
    """Trains `model` in place on the first of `examples`; the epoch with the best macro-F1 on the second, as a bundle
    is served, is kept.

    Without a second, `epochs` of the same schedule are passed and the last weights kept. `folder` takes checkpoints,
    `resume_from` is one of them, `deadline` is of time.monotonic. A model that `begins_able` need not get better.
    Raises StoppedError and RefusedError.
    """
    learnt, kept = examples
    settings = arguments(recipe, precision, folder, evaluate=kept is not None, big=model.num_parameters() > BIG)
    steps = -(-len(learnt) // (recipe.batch * recipe.accumulate))  # an epoch
    clock = TrainingClock(deadline, None if epochs is None else max(1, round(epochs * steps)))
    stopping = [EarlyStoppingCallback(recipe.patience)] if kept is not None else []
    progress = ProgressBar("training" if kept is not None else "training again on all")
    trainer = GuardedTrainer(
        guard=Guard(steps_an_epoch=steps, begins_able=begins_able),
        labels=labels,
        model=model,
        args=settings,
        train_dataset=learnt,
        eval_dataset=kept,
        processing_class=tokenizer,
        data_collator=Collator(tokenizer, model),
        compute_metrics=generated_metrics(tokenizer, labels),
        callbacks=[clock, progress, DrawsAnew(learnt), *stopping],
    )
    trainer.remove_callback(PrinterCallback)
    logging.disable_progress_bar()  # of transformers, one each checkpoint; loop/progress shows what matters
    try:
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from is not None else None)
    finally:
        progress.close()
    state = trainer.state
    return Trained(
        epochs=(state.global_step if kept is None else state.best_global_step or 0) / steps,
        passed=state.global_step / steps,
        history=history_of(state.log_history),
        out_of_time=clock.stopped,
    )


class Collator:
    """Pads examples to a batch. One whose truth is one of several labels takes a row for each of these; then OWNER (R,)
    says which example each row belongs to."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        self._pad = DataCollatorForSeq2Seq(tokenizer, model=model, label_pad_token_id=IGNORED)

    def __call__(self, examples: Sequence[dict[str, Any]]) -> Any:
        owners, rows = [], []
        for owner, example in enumerate(examples):
            plain = {name: value for name, value in example.items() if name != OTHERS}
            for tokens in (example["labels"], *example.get(OTHERS, ())):
                owners.append(owner)
                rows.append({**plain, "labels": tokens})
        batch = self._pad(rows)
        if len(rows) > len(examples):
            batch[OWNER] = torch.tensor(owners)
        return batch


def either_loss(model: Any, inputs: Any, smoothing: float) -> torch.Tensor:
    """Trainer's loss, a mean over tokens with label `smoothing`, for a batch with OWNER: an example of several labels
    costs the negative logarithm of the sum of their probabilities."""
    inputs = dict(inputs)
    owner, tokens = inputs.pop(OWNER), inputs["labels"]
    counted = tokens != IGNORED
    logs = torch.log_softmax(model(**inputs).logits, dim=-1)
    right = logs.gather(-1, tokens.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    label, spread = ((part * counted).sum(dim=1) for part in (right, logs.mean(dim=-1)))
    rows = torch.bincount(owner)  # of each example
    best = torch.full_like(rows, -torch.inf, dtype=label.dtype).scatter_reduce(0, owner, label.detach(), "amax")
    none = torch.zeros_like(best)
    either = best + none.index_add(0, owner, torch.exp(label - best[owner])).log()
    evenly, length = (none.index_add(0, owner, part.to(none.dtype)) / rows for part in (spread, counted.sum(dim=1)))
    loss: torch.Tensor = -((1 - smoothing) * either + smoothing * evenly).sum() / length.sum()
    return loss


def served_score(model: Any, examples: Examples, labels: Sequence[str], batch: int) -> Score:
    """How the best of `labels` for each of `examples` matches its own."""
    tree = check_labels(examples.label_tokens, labels)
    best: list[int] = []
    model.eval()
    with torch.inference_mode():
        for i in range(0, len(examples), batch):
            ids, mask = (
                torch.from_numpy(part[i : i + batch]).to(model.device) for part in (examples.ids, examples.mask)
            )
            best += label_scores(model, tree, ids, mask).argmax(dim=1).tolist()
    return score([labels[k] for k in examples.label], [labels[k] for k in best], labels)


def loss_on(model: Any, tokenizer: Any, examples: Examples, smoothing: float = 0.0, batch: int = 64) -> float:
    """Mean cross entropy of the label tokens, smoothed as in training: just what Trainer calls a validation loss."""
    smoother = LabelSmoother(epsilon=smoothing, ignore_index=IGNORED)
    collate = DataCollatorForSeq2Seq(tokenizer, model=model, label_pad_token_id=IGNORED)
    total, tokens = 0.0, 0
    model.eval()
    with torch.inference_mode():
        for i in range(0, len(examples), batch):
            inputs = collate(examples.__getitems__(range(i, min(i + batch, len(examples)))))
            counted = int((inputs["labels"] != IGNORED).sum())
            output = model(**inputs.to(model.device))
            total += float(smoother(output, inputs["labels"]) if smoothing else output.loss) * counted
            tokens += counted
    return total / tokens


def generated(model: Any, tokenizer: Any, examples: Sequence[dict[str, Any]]) -> list[str]:
    """What `model` writes freely, token by token, for each of a few examples."""
    collate = DataCollatorForSeq2Seq(tokenizer, model=model, label_pad_token_id=IGNORED)
    inputs = collate(list(examples)).to(model.device)
    model.eval()
    with torch.inference_mode():
        ids = model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_length=MAX_GENERATED,
            num_beams=1,
            do_sample=False,
        )
    return [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]


def arguments(
    recipe: Recipe, precision: str, folder: Path, *, evaluate: bool = True, big: bool = False
) -> Seq2SeqTrainingArguments:
    """Trainer's settings. Adafactor at the given rate, unclipped: it clips its own updates (Shazeer 2018)."""
    return Seq2SeqTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch,
        per_device_eval_batch_size=32 if big else 256,
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
        eval_strategy="epoch" if evaluate else "no",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=evaluate,
        metric_for_best_model=SERVED_MACRO_F1 if evaluate else None,
        greater_is_better=True if evaluate else None,
        restore_callback_states_from_checkpoint=True,  # the patience that is left
        predict_with_generate=True,
        generation_max_length=MAX_GENERATED,
        generation_num_beams=1,
        seed=recipe.seed,
        data_seed=recipe.seed,
        disable_tqdm=True,  # loop/progress shows how far it is
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
