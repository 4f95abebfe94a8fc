"""Paths into a document, such as `$.accel.x`, `values[0]`, `$['a key']` or `$.samples[*].x`, compiled once."""

from __future__ import annotations

import re
from dataclasses import dataclass

MISSING = object()
EACH = object()  # the step [*]
_STEP = re.compile(r"""\.?([^.\[\]'"\s*$@]+)|\[(?:(-?\d+)|(\*)|'([^']*)'|"([^"]*)")\]|\.(\*)""")


@dataclass(frozen=True, slots=True)
class Path:
    """Names, list indices and EACH, from the outside to the inside."""

    text: str
    steps: tuple[object, ...]

    def find(self, document: object) -> object:
        """What is there, or MISSING; with a step [*] the list of what is there in each entry that has it."""
        return _find(document, self.steps)


def compile_path(text: str) -> Path:
    """Raises ValueError where `text` is no path."""
    at, steps = 1 if text[:1] in ("$", "@") else 0, list[object]()
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise ValueError(f"{text!r} is no path such as $.accel.x or $.values[0]")
        name, index, each, quoted, double, dotted = step.groups()
        steps.append(
            EACH
            if each or dotted
            else int(index)
            if index
            else next(s for s in (name, quoted, double) if s is not None)
        )
        at = step.end()
    if not text:
        raise ValueError("a path must not be empty: $ is the whole payload")
    return Path(text, tuple(steps))


def _find(document: object, steps: tuple[object, ...]) -> object:
    for at, step in enumerate(steps):
        if step is EACH:
            if not isinstance(document, list):
                return MISSING
            found = [_find(entry, steps[at + 1 :]) for entry in document]
            return [value for value in found if value is not MISSING]
        if isinstance(document, dict):
            document = document.get(step, MISSING)
        elif isinstance(document, list) and (isinstance(step, int) or str(step).isdecimal()):
            index = int(str(step))
            document = document[index] if -len(document) <= index < len(document) else MISSING
        else:
            return MISSING
        if document is MISSING:
            return MISSING
    return document
