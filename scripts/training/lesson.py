"""One training from material to a trained pupil, begun anew or gone on with where it was interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from transformers import set_seed

from training import work
from training.examples import Examples
from training.material import Material
from training.pupil import Pupil, examples_of, make_pupil, training_examples
from training.recipe import Recipe
from training.trainer import Trained, train


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """Where a fine-tune works: `kept` outlives an interruption, `made` takes bundles. `begun` is of time.monotonic."""

    recipe: Recipe
    console: Console
    precision: str
    reason: str
    kept: Path
    made: Path
    begun: float

    def deadline(self, share: float) -> float | None:
        """When `share` of the time limit has passed."""
        limit = self.recipe.time_limit
        return None if limit is None else self.begun + 60 * limit * share


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A trained pupil, the examples it was validated on (some it learnt from where there were none), what the training
    came to, and the bundle's folder, which holds the tokenizer so far."""

    pupil: Pupil
    shown: Examples
    trained: Trained
    folder: Path


def learn(bench: Bench, material: Material, name: str, *, share: float = 1.0, epochs: float | None = None) -> Lesson:
    """Trains a pupil, or goes on where this lesson, known by `name`, was interrupted; by `share` of the time limit.

    With nobody to validate on, for `epochs`. Raises RefusedError and StoppedError.
    """
    recipe, kept_in, made_in = bench.recipe, bench.kept / name, bench.made / name
    made_in.mkdir()
    set_seed(recipe.seed)
    pupil, features = make_pupil(recipe, material, made_in)
    examples = training_examples(recipe, material, pupil, features)
    # Where nobody validates, one subject's windows are enough to hold the compiled scorer against the model.
    shown_from = material.parts.validation or material.parts.train[:1]
    shown = examples_of(recipe, material, pupil, material.labelled.of(shown_from))
    bench.console.print(
        f"{sum(p.numel() for p in pupil.model.parameters()):,} parameters, {len(examples)} examples, "
        f"prompts of {examples.longest} tokens at most: {pupil.encoder.render(features[:1])[0]}",
        highlight=False,
        markup=False,
    )
    trained = work.finished(kept_in, pupil.model)
    if trained is None:
        trained = train(
            pupil.model,
            pupil.tokenizer,
            examples=(examples, shown if material.parts.validation else None),
            labels=material.labels,
            recipe=recipe,
            precision=bench.precision,
            folder=kept_in,
            epochs=epochs,
            deadline=bench.deadline(share),
            resume_from=work.last_checkpoint(kept_in),
        )
        work.finish(kept_in, pupil.model, trained)
    if trained.out_of_time:
        bench.console.print(
            f"the time limit of {recipe.time_limit:g} min ended training after {trained.passed:.3g} of {recipe.epochs} "
            f"epochs; kept are the weights after {trained.epochs:.3g}",
            highlight=False,
        )
    return Lesson(pupil, shown, trained, made_in)
