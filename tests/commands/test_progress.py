"""The progress bar: only on a terminal, only on standard error."""

from __future__ import annotations

import pytest

from hard.commands.progress import progress


@pytest.mark.parametrize("prints", [False, True])
def test_without_a_terminal_there_is_no_bar(prints: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("labelling", 10, prints=prints) as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")
