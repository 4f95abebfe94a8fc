"""The list of formats."""

from __future__ import annotations

from typing import get_args

from hard.formats.formats import BY_CONTENT_TYPE, FORMATS
from hard.settings import IngestSection


def test_every_format_can_be_set() -> None:
    assert get_args(IngestSection.model_fields["format"].annotation) == tuple(format_.name for format_ in FORMATS)


def test_every_format_has_a_content_type_that_means_it_alone() -> None:
    for format_ in FORMATS:
        assert format_.content_types
        assert all(BY_CONTENT_TYPE[content_type] is format_ for content_type in format_.content_types)
