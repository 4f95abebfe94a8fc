"""The commands behind `hard`: one file a command, each with `main(args) -> exit code`, imported only when it runs."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818  (what it is called in a sentence)
    """Arguments, settings or a bundle that can't be used: one sentence, exit code 2."""


class Failure(Exception):  # noqa: N818  (what it is called in a sentence)
    """Something else that a person can understand, such as a broker that is not there: one sentence, exit code 1."""
