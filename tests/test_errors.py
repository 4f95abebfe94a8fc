"""The errors that people read: one base, a sentence, an exit code."""

from __future__ import annotations

import pytest

from hard.errors import CommandError, HardError, UsageError


@pytest.mark.parametrize(("kind", "exit_code"), [(HardError, 1), (CommandError, 1), (UsageError, 2)])
def test_an_error_has_the_exit_code_of_its_command(kind: type[HardError], exit_code: int) -> None:
    error = kind("there is no broker")
    assert isinstance(error, HardError)
    assert (str(error), error.exit_code) == ("there is no broker", exit_code)
