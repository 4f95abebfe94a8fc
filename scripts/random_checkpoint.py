"""Saves a T5 of FLAN-T5-small's architecture with random weights: a `finetune.py --base` where none can be fetched.

It has learnt nothing: it shows that a fine-tune works on this machine, not what a pretrained checkpoint would reach.
"""

from __future__ import annotations

import argparse
import string
import sys
from pathlib import Path

SIZES = {"vocabulary": 32128, "d-model": 512, "d-kv": 64, "heads": 6, "d-ff": 1024, "layers": 8}  # FLAN-T5-small's


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="random_checkpoint.py", description=__doc__)
    p.add_argument("folder", type=Path)
    for name, size in SIZES.items():
        p.add_argument(f"--{name}", type=int, default=size, help=f"({size})")
    p.add_argument("--seed", type=int, default=0)
    return p


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    if options.folder.exists():
        print(f"random_checkpoint.py: {options.folder} exists: choose another folder", file=sys.stderr)
        return 2
    import numpy as np  # noqa: PLC0415  (--help needs none of what follows)
    import torch  # noqa: PLC0415
    from training.data.loading import USUAL_ORDER  # noqa: PLC0415
    from training.model.tokenizer import train_tokenizer  # noqa: PLC0415
    from transformers import T5Config, T5ForConditionalGeneration  # noqa: PLC0415

    from hard.model.prompts import SEED_TEXT  # noqa: PLC0415

    prompts = [SEED_TEXT.format(*row) for row in np.random.default_rng(options.seed).normal(0, 6, (2000, 6))]
    tokenizer = train_tokenizer(
        [*prompts, " ".join(string.printable)], (), USUAL_ORDER, subwords=min(options.vocabulary, 2000)
    )
    config = T5Config(
        vocab_size=max(options.vocabulary, len(tokenizer)),
        d_model=options.d_model,
        d_kv=options.d_kv,
        num_heads=options.heads,
        d_ff=options.d_ff,
        num_layers=options.layers,
        num_decoder_layers=options.layers,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        tie_word_embeddings=False,  # as FLAN-T5 has it
    )
    torch.manual_seed(options.seed)
    model = T5ForConditionalGeneration(config)
    with torch.no_grad():  # transformers draws an untied head as large as the embedding: a first loss of 30 and more
        model.lm_head.weight *= config.d_model**-0.5
    model.save_pretrained(options.folder)
    tokenizer.save_pretrained(options.folder)
    print(f"wrote {options.folder}: {model.num_parameters():,} parameters, none of them trained")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
