"""A problem carries the settings that mend it, as `--set` takes them."""

from __future__ import annotations

from hard.commands.sender_facts import Facts, Problem


def test_settings_go_into_the_entry_and_into_the_problem() -> None:
    facts = Facts("d", "sensors/d/accel", 3)
    facts.wrong("unit", "it sends g", unit="g")
    facts.wrong("malformed", "another shape", format="mapping", mapping={"x": "$.a"})
    facts.told("stuck")
    facts.told("gaps", 0.25)
    assert facts.entry == {"unit": "g", "format": "mapping", "mapping": {"x": "$.a"}}
    assert facts.problems == [
        Problem("unit", "it sends g", "ingest.unit=g"),
        Problem("malformed", "another shape", 'ingest.format=mapping, ingest.mapping={"x": "$.a"}'),
        Problem("stuck", "the sensor gives the same values again and again: it is stuck, or was never read"),
        Problem("gaps", "25% of the samples are missing: send at QoS 1, or check the radio link"),
    ]
