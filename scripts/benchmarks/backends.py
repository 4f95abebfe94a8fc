"""Ways to get labels from a T5 on a CPU: token ids (B, L) → label probabilities (B, K), or None where a way gives text.

All use the same weights, ids and number of threads.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import onnxruntime
import torch
from torch import nn
from transformers import AutoTokenizer

from benchmarks.models import Subject
from hard.model.bundle import GRAPHS
from hard.model.scorer_onnx import OnnxScorer
from hard.model.scorer_torch import label_scores
from hard.model.tokens import PAD_ID, Ids
from hard.records import Float32Array

NOTEBOOK_LENGTH = 512
Backend = Callable[[Ids], Float32Array | None]
NOTEBOOK, GENERATE, SCORING = "generate, one by one, padded to 512", "generate, batched", "transformers, labels scored"
CTRANSLATE2, PLAIN = "CTranslate2 int8", "ONNX Runtime, exported plainly"
OURS_FP32, OURS_INT8 = "HARD fp32", "HARD int8"
ALL = (NOTEBOOK, GENERATE, SCORING, CTRANSLATE2, PLAIN, OURS_FP32, OURS_INT8)


def backends(subject: Subject, folder: Path, threads: int) -> dict[str, Backend]:
    """All by name; `folder` takes the converted models that some need."""
    return {
        NOTEBOOK: _notebook(subject),
        GENERATE: _generate(subject),
        SCORING: _scoring(subject),
        CTRANSLATE2: _ctranslate2(subject, folder, threads),
        PLAIN: _plain(subject, folder, threads),
        OURS_FP32: _ours(subject.folder / GRAPHS["fp32"], threads),
        OURS_INT8: _ours(subject.folder / GRAPHS["int8"], threads),
    }


def _notebook(subject: Subject) -> Backend:
    """As in the notebook that HARD began with: one window at a time, prompts padded to 512."""

    def label(ids: Ids) -> None:
        padded = torch.full((1, NOTEBOOK_LENGTH), PAD_ID)
        padded[0, : ids.shape[1]] = torch.from_numpy(ids[0])
        with torch.inference_mode():
            subject.model.generate(padded, attention_mask=(padded != PAD_ID).long(), max_new_tokens=_longest(subject))

    return label


def _generate(subject: Subject) -> Backend:
    """Greedy, with a cache, as many tokens as the longest label and its end token have."""

    def label(ids: Ids) -> None:
        given = torch.from_numpy(ids)
        with torch.inference_mode():
            subject.model.generate(
                given, attention_mask=torch.ones_like(given), max_new_tokens=_longest(subject)
            )  # fmt: skip

    return label


def _scoring(subject: Subject) -> Backend:
    def score(ids: Ids) -> Float32Array:
        given = torch.from_numpy(ids)
        with torch.inference_mode():
            scores = label_scores(subject.model, subject.tree, given, torch.ones_like(given))
            return np.asarray(np.exp(scores.numpy()))

    return score


def _ctranslate2(subject: Subject, folder: Path, threads: int) -> Backend:
    """One decoding step that returns the logits of the whole vocabulary: CTranslate2 can't return only the labels'."""
    converted = folder / "ctranslate2"
    if not converted.exists():
        converter = ctranslate2.converters.TransformersConverter(str(subject.folder))
        converter.convert(str(converted), quantization="int8")
    translator = ctranslate2.Translator(str(converted), device="cpu", compute_type="int8", intra_threads=threads)
    names = AutoTokenizer.from_pretrained(subject.folder).convert_ids_to_tokens
    first = [tokens[0] for tokens in subject.label_tokens]

    def score(ids: Ids) -> Float32Array:
        results = translator.translate_batch(
            [names(row) for row in ids.tolist()], max_decoding_length=1, beam_size=1, return_logits_vocab=True,
            max_batch_size=0,
        )  # fmt: skip
        logits = np.array([np.asarray(result.logits[0][0])[first] for result in results], dtype=np.float32)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))

    return score


class _OneStep(nn.Module):  # type: ignore[misc]
    """The plain export: transformers' own forward, one decoder step, the logits of the whole vocabulary."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.model, self.first = subject.model, torch.tensor([tokens[0] for tokens in subject.label_tokens])

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        start = torch.zeros((ids.shape[0], 1), dtype=torch.int64)
        logits: Any = self.model(input_ids=ids, attention_mask=mask, decoder_input_ids=start, use_cache=False).logits
        return torch.softmax(logits[:, 0, self.first], dim=-1)


def _plain(subject: Subject, folder: Path, threads: int) -> Backend:
    exported = folder / "plain.onnx"
    if not exported.exists():
        ids = torch.from_numpy(subject.ids[:2])
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _OneStep(subject).eval(), (ids, torch.ones_like(ids)), str(exported), input_names=["ids", "mask"],
                output_names=["probabilities"], opset_version=17, dynamo=False,
                dynamic_axes={name: {0: "B", 1: "L"} for name in ("ids", "mask")},
            )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(str(exported), options, providers=["CPUExecutionProvider"])
    return lambda ids: np.asarray(session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0])


def _ours(graph: Path, threads: int) -> Backend:
    scorer = OnnxScorer(graph, threads)
    return lambda ids: np.exp(scorer.score(ids, np.ones_like(ids)).labels)


def _longest(subject: Subject) -> int:
    return max(map(len, subject.label_tokens))
