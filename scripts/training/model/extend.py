"""A bundle as the base of a fine-tune: what is taken over from it, and what it made of the same windows before.

Features, level edges, tokenizer, prompt style, window and labels are the bundle's; labels that the recordings add come
after its own, and those that they lack are kept. Knows no optimiser.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from rich.console import Console

from hard.model import bundle
from hard.model.bundle import MANIFEST, WEIGHTS, Bundle, BundleError
from hard.model.classifier import Classifier
from training.data.loading import Labelled
from training.errors import RefusedError
from training.recipe import SCRATCH, Recipe

BEFORE = "the bundle before"
SMALL_BYTES = 40_000_000  # weights of at most 10 M parameters
SHOWN = 500  # windows of a new activity that the bundle is asked about


def base_of(recipe: Recipe) -> Bundle | None:
    """The bundle that `recipe` begins with, None where it begins with anything else. Raises RefusedError."""
    if recipe.base == SCRATCH or not (bundle.find(recipe.base) / MANIFEST).is_file():
        return None
    try:
        return bundle.read(recipe.base, only=WEIGHTS)
    except BundleError as error:
        raise RefusedError(f"--base: {error}") from error


def settled(recipe: Recipe) -> Recipe:
    """`recipe.settled()`, with what a bundle fixes taken over. Raises RefusedError where the recipe says otherwise."""
    base = base_of(recipe)
    if base is None:
        return recipe.settled()
    manifest, unset = base.manifest, Recipe(data=(), out=recipe.out)
    fixed: dict[str, Any] = {
        "prompt": manifest.prompt.style,
        "features": () if manifest.prompt.style == "seed" else manifest.prompt.features,
        "length_s": manifest.window.length_s,
        "rate_hz": manifest.window.rate_hz,
        "levels": unset.levels,
    }
    for name, own in fixed.items():
        if getattr(recipe, name) not in (getattr(unset, name), own):
            raise RefusedError(f"--base {recipe.base} is a bundle and fixes {name.replace('_', ' ')}: leave it out")
    small = (base.path / WEIGHTS[1]).stat().st_size <= SMALL_BYTES
    defaults = {
        "epochs": 6,
        "batch": 64 if small else 8,
        "accumulate": 1 if small else 2,
        "lr": 2e-3 if small else 1e-3,
        "schedule": "cosine",
        "label_smoothing": 0.05,
    }
    choices = {name: value for name, value in defaults.items() if getattr(recipe, name) is None}
    named = {"base": str(base.path), "name": recipe.name or recipe.out.name}
    return replace(recipe, **fixed, **choices, **named).settled()


def labels(base: Bundle, present: Sequence[str]) -> tuple[str, ...]:
    """The bundle's labels, then those that only the recordings have."""
    return (*base.manifest.labels, *(label for label in present if label not in base.manifest.labels))


def tell(console: Console, base: Bundle, present: Sequence[str], seen: Sequence[str]) -> None:
    """Which labels are new, which the bundle may forget, and the judged subjects whom it has `seen`."""
    if seen:
        console.print(seen_sentence(base, seen), highlight=False, markup=False)
    own = base.manifest.labels
    if new := [label for label in present if label not in own]:
        console.print(f"new labels: {', '.join(new)}", highlight=False)
    if lacking := [label for label in own if label not in present]:
        console.print(
            f"the recordings have no {', '.join(lacking)}: the label is kept, but the activity may be forgotten; add "
            "recordings of it, or check with evaluate.py what is left of it",
            highlight=False,
        )


def seen_sentence(base: Bundle, seen: Sequence[str]) -> str:
    return f"LEAKY: {base.path.name} has seen the subjects {', '.join(seen)}; their figures say nothing about others"


def nearest(base: Bundle, learnt: Labelled) -> dict[str, str]:
    """For each truth of `learnt` that is no label of the bundle, the label that the bundle gives it most often."""
    found = {}
    for truth in sorted(set(learnt.truth.tolist()) - set(base.manifest.labels)):
        windows = [w for w, t in zip(learnt.windows, learnt.truth, strict=True) if t == truth][:SHOWN]
        said = Counter(p.label for p in Classifier(base).classify(windows))
        found[truth] = said.most_common(1)[0][0]
    return found


def grow(model: Any, before: Any, tokenizer: Any, like: dict[str, str]) -> None:
    """Gives `model` a row for each piece that `tokenizer` has more than the one `before`.

    A new label begins as a synonym of the one in `like`: begun at random, its row would take longer to be found than
    all else takes to be unlearnt.
    """
    if len(tokenizer) == len(before):
        return
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for weight in {id(w): w for w in (model.shared.weight, model.lm_head.weight)}.values():
            for label, known in like.items():
                row = weight[before(known)["input_ids"][0]].clone()
                for token in tokenizer(label)["input_ids"]:
                    if token >= len(before):
                        weight[token] = row
