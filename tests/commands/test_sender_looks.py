"""The daemon's own diagnosis, on messages that are read as the doctor proposes."""

from __future__ import annotations

import pytest
from support.planted import MISTAKES, TOPIC, heard

from hard.commands.sender_facts import Facts
from hard.commands.sender_looks import look
from hard.model import bundle
from hard.settings import load


@pytest.mark.parametrize(
    ("name", "entry", "kinds"),
    [
        ("raw counts", {"scale": 0.0005986}, []),  # without the scale the values would be clipped or of no unit
        ("stuck", {}, ["stuck"]),
        ("gaps", {}, ["gaps"]),
        ("int16", {"format": "int16", "scale": 0.004788, "rate_hz": 50.0}, []),
    ],
)
def test_what_is_left_once_the_entry_is_set_is_told(name: str, entry: dict[str, object], kinds: list[str]) -> None:
    facts = Facts("d", TOPIC, 30, entry=entry)
    look(facts, heard(MISTAKES[name])[TOPIC].messages, load(), bundle.read(), {})
    assert [problem.kind for problem in facts.problems] == kinds


def test_an_entry_that_holds_already_counts_too() -> None:
    facts = Facts("d", TOPIC, 30)
    look(facts, heard(MISTAKES["csv"])[TOPIC].messages, load(), bundle.read(), {"format": "csv"})
    assert facts.problems == []
