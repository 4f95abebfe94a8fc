"""What `hard doctor` finds: each planted mistake is named, and a device that sends well has none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.planted import MISTAKES, TOPIC, Mistake, heard, native, written

from hard.commands.doctor import diagnose
from hard.commands.sender_checks import examine
from hard.commands.sender_facts import Facts
from hard.daemon.sender_settings import make_senders
from hard.settings import load


def facts_of(mistake: Mistake) -> Facts:
    ((facts, _),) = diagnose(heard(mistake), load(None, mistake.overrides))
    return facts


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_named_with_the_settings_that_mend_it(name: str) -> None:
    mistake = MISTAKES[name]
    facts = facts_of(mistake)
    assert mistake.kind in {problem.kind for problem in facts.problems}
    assert facts.entry == mistake.entry
    assert all("\n" not in problem.sentence for problem in facts.problems)


WELL = {
    "json": Mistake(lambda t, a: [native(t, a)], "", {}),
    "without a clock": Mistake(lambda t, a: [native(t, a, t0=None)], "", {}),
    "a clock that is an hour ahead": Mistake(lambda t, a: [native(t + 3600, a)], "", {}),
    **{
        name: Mistake(written(name), "", {}, (f"ingest.format={name}",))
        for name in ("csv", "msgpack", "senml", "sensorlogger", "phyphox")
    },
    **{
        name: Mistake(written(name), "", {}, ("ingest.format=mapping", f"ingest.mapping={name}"))
        for name in ("sensorspot", "movesense", "edgeimpulse")
    },
    "int16": Mistake(written("int16"), "", {}, ("ingest.format=int16", "ingest.scale=0.004788", "ingest.rate_hz=50")),
}


@pytest.mark.parametrize("name", WELL)
def test_a_device_that_sends_as_the_settings_say_has_no_problem(name: str) -> None:
    facts = facts_of(WELL[name])
    assert facts.problems == []
    assert facts.entry == {}
    assert facts.rate_hz == pytest.approx(50, rel=0.02)
    assert facts.gravity_ms2 == pytest.approx(10, abs=0.5)
    assert (facts.samples, facts.down) == (1500, "+y")


def test_the_clock_is_compared_with_this_machine_s() -> None:
    assert facts_of(WELL["json"]).clock_offset_s == pytest.approx(-0.07, abs=0.02)
    assert facts_of(WELL["a clock that is an hour ahead"]).clock_offset_s == pytest.approx(3600, abs=0.2)
    assert facts_of(WELL["without a clock"]).clock == "none"


def test_a_few_samples_are_too_few_and_a_retained_message_alone_is_told() -> None:
    own = heard(WELL["json"])[TOPIC]
    _, rules = make_senders(load(None)).by_topic(TOPIC)
    few = replace(own.messages[0], payload=b'{"xyz": [[0, 0, 9.8]]}')
    assert [problem.kind for problem in examine("d", [few], 0, rules).problems] == ["few"]
    assert [problem.kind for problem in examine("d", [], 1, rules).problems] == ["retained"]
