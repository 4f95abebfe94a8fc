"""Sections in Markdown: each figure once, and nothing where there is none."""

from support.trials import outcome
from training.report import markdown
from training.results.outcome import figures

from hard.model.figures import Comparison, TrainingMetrics
from hard.model.leakage import SEEN_BEFORE


def test_a_table_has_a_head_and_a_row_a_line() -> None:
    assert markdown.table(("a", "b"), [(1, "x")]) == "| a | b |\n| --- | --- |\n| 1 | x |"


def test_a_heading_is_marked_in_brackets() -> None:
    assert markdown.marked("Figures", "LEAKY") == "Figures (LEAKY)"
    assert markdown.marked("Figures", "") == "Figures"


def test_people_seen_before_are_named() -> None:
    assert markdown.seen_before(("3", "4")) == f"**{SEEN_BEFORE}: 3, 4.**"
    assert markdown.seen_before(()) == ""


def test_baselines_stand_beside_the_model_label_by_label() -> None:
    found = figures(outcome(("1", "2"), 0.9))
    head, *rows = markdown.side_by_side(found)
    assert head == ["", "this model", "coin"]
    assert [row[0] for row in rows] == ["accuracy", "macro-F1", "Walking", "Sitting"]
    assert markdown.baselines("Others", found).startswith("## Others\n\n|  | this model | coin |")


def test_without_figures_a_section_is_empty() -> None:
    assert markdown.acceptance(TrainingMetrics()) == ""
    assert markdown.compared({}) == ""
    assert markdown.perturbations({"as recorded": 0.5}, "Other phones") == ""


def test_a_comparison_has_a_sign_an_error_and_a_verdict() -> None:
    assert "| CNN | +0.020 ± 0.010 | above |" in markdown.compared({"CNN": Comparison(0.02, 0.01, "above")})


def test_a_long_prompt_is_cut_off() -> None:
    assert markdown.shortened("v.std:03 " * 20, 10) == "v.std:03 …"
    assert markdown.shortened("short") == "short"
