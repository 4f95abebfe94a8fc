"""Labels that clash and prompts that are too long are refused before anything is trained."""

import pytest
from training.errors import RefusedError
from training.model.checks import check_labels, check_prompt_length


def test_labels_that_clash_are_refused() -> None:
    assert len(check_labels([[5, 1], [6, 1]], ["Walk", "Sit"]).paths) == 2
    with pytest.raises(RefusedError, match="'Walk' and 'Walks' clash"):
        check_labels([[5], [5, 6]], ["Walk", "Walks"])


def test_a_prompt_over_the_limit_is_refused() -> None:
    check_prompt_length(48, 48)
    with pytest.raises(RefusedError, match="49 tokens, over the limit of 48"):
        check_prompt_length(49, 48)
