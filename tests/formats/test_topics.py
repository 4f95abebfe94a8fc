"""Topic patterns: what to subscribe to, and which device a topic names."""

from __future__ import annotations

import pytest

from hard.formats.topics import MAX_DEVICE_CHARS, Topics, is_device_name


@pytest.mark.parametrize(
    ("pattern", "filter_", "topic"),
    [
        ("{device}", "+", "d"),
        ("plant/+/s/{device}/accel", "plant/+/s/+/accel", "plant/x/s/d/accel"),
        ("{device}/#", "+/#", "d/accel/raw"),
        ("$share/g/sensors/{device}", "$share/g/sensors/+", "sensors/d"),
        ("a.b/{device}", "a.b/+", "a.b/d"),
    ],
)
def test_a_pattern_is_a_filter_and_finds_the_device(pattern: str, filter_: str, topic: str) -> None:
    topics = Topics([pattern])
    assert topics.filters() == [filter_]
    found = topics.regex().match(topic)
    assert found
    assert found.groups() == ("d",)


def test_the_group_of_the_pattern_that_matches_is_the_device() -> None:
    found = Topics(["a/{device}", "b/{device}/c"]).regex().match("b/d/c")
    assert found
    assert found.groups() == (None, "d")
    assert not Topics(["a.b/{device}"]).regex().match("axb/d")


@pytest.mark.parametrize(
    ("text", "usable"),
    [("belt-7", True), ("x" * MAX_DEVICE_CHARS, True), ("x" * (MAX_DEVICE_CHARS + 1), False), ("", False),
     ("@a", False), ("a@", True), ("a/b", False), ("a+", False), ("#", False), ("a\0", False)],
)  # fmt: skip
def test_a_device_name_is_one_level_and_not_one_of_hards_own(text: str, usable: bool) -> None:
    assert is_device_name(text) == usable
