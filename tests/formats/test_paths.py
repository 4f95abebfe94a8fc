"""Paths into documents."""

from __future__ import annotations

import pytest

from hard.formats.paths import MISSING, compile_path

DOCUMENT = {"a": {"b c": [10, {"d": 20}], "e.f": 30}, "list": [{"x": 1}, {"y": 2}, {"x": 3}]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", DOCUMENT),
        ("@.a['b c'][0]", 10),
        ('$.a["b c"][1].d', 20),
        ("a['b c'][-1]['d']", 20),
        ("$['a']['e.f']", 30),
        ("$.list[*].x", [1, 3]),
        ("$.list.*.x", [1, 3]),
        ("list.1.y", 2),
        ("$.a.b", MISSING),
        ("$.list[3]", MISSING),
        ("$.list.x", MISSING),
        ("$.a['b c'][0].d", MISSING),
        ("$.a[*]", MISSING),
    ],
)
def test_a_path_leads_to_a_value_or_nowhere(path: str, expected: object) -> None:
    assert compile_path(path).find(DOCUMENT) == expected


@pytest.mark.parametrize("path", ["", "$..x", "$.a[", "a]", "$.a b", "[x]", "$$", "a.", "$.['a'"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        compile_path(path)
