"""A problem carries the settings that mend it, as `--set` takes them."""

from __future__ import annotations

from hard.commands.sender_facts import Facts, Problem


def test_settings_go_into_the_entry_and_into_the_problem() -> None:
    facts = Facts("d", "sensors/d/accel", 3)
    facts.wrong("unit", "it sends g", unit="g")
    facts.wrong("malformed", "another shape", format="mapping", mapping={"x": "$.a"})
    facts.wrong("stuck", "its values don't change")
    assert facts.entry == {"unit": "g", "format": "mapping", "mapping": {"x": "$.a"}}
    assert facts.problems == [
        Problem("unit", "it sends g", "ingest.unit=g"),
        Problem("malformed", "another shape", 'ingest.format=mapping, ingest.mapping={"x": "$.a"}'),
        Problem("stuck", "its values don't change"),
    ]
