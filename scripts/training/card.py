"""A bundle's manifest → its model card, README.md. Pure."""

from __future__ import annotations

from typing import Any

from hard.model.bundle import Manifest

LIMITS = """\
## Limits

- It knows its labels only: whatever else the wearer does is given one of them, often with confidence.
- The figures hold for people like those in the data, with the device worn the same way. Other placements and other
  devices need their own recordings.
- Windows overlap, so neighbouring windows are not independent: read the figures by subject.
"""


def model_card(manifest: Manifest) -> str:
    """Markdown: what it is, the command, data and split, figures by label and by subject, limits."""
    training, window, prompt = manifest.training, manifest.window, manifest.prompt
    parts = [
        f"# {manifest.name}",
        f"A T5 that labels {window.length_s:g} s of acceleration at {window.rate_hz:g} Hz as one of: "
        f"{', '.join(manifest.labels)}.",
        "## How it was made",
        f"```sh\n{training.command}\n```",
        _facts(
            {
                "Base": f"`{training.base}`",
                "Data": training.data,
                "Prompt": f"`{prompt.style}` version {prompt.version}, {len(prompt.features)} features",
                "Precision": training.precision,
                "Seed": training.seed,
                "Versions": ", ".join(f"{k} {v}" for k, v in training.versions.items()),
                **{f"Subjects, {part}": ", ".join(names) or "none" for part, names in training.subjects.items()},
            }
        ),
        "The split is by subject. The epoch and the temperature were chosen on the validation subjects; the test "
        "subjects were met once, at the end.",
    ]
    for part in ("test", "validation"):
        if part in training.metrics:
            parts.append(_figures(part, training.metrics[part]))
    return "\n\n".join([*parts, LIMITS])


def _figures(part: str, metrics: dict[str, Any]) -> str:
    by_label = "\n".join(f"| {label} | {f1:.3f} |" for label, f1 in metrics["f1"].items())
    by_subject = "\n".join(f"| {subject} | {f1:.3f} |" for subject, f1 in metrics["macro_f1_by_subject"].items())
    return (
        f"## Figures on the {part} subjects\n\n"
        f"{metrics['windows']} windows. Accuracy {metrics['accuracy']:.3f}, macro-F1 "
        f"{metrics['macro_f1']:.3f}, expected calibration error {metrics['calibration_error']:.3f}.\n\n"
        f"| label | F1 |\n|---|---|\n{by_label}\n\n| subject | macro-F1 |\n|---|---|\n{by_subject}"
    )


def _facts(facts: dict[str, Any]) -> str:
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in facts.items())
