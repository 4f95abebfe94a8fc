"""What fails a run under overload."""

from __future__ import annotations

import pytest
from soak.overload import SLOWED, AgedLabel, newest, quantiles, report

from hard.model.classifier import Classifier

METRICS = {'hard_windows_total{outcome="published"}': 7.0, "hard_windows_in_flight": 0.0}
LABELS = [AgedLabel(1.0, "a", 0.5, 0.1, True), AgedLabel(1.5, "a", 1.5, 0.2, False)]


def judged(
    labels: list[AgedLabel] = LABELS, recovery_s: float = 1.0, memory: tuple[int, ...] = (100, 110),
    problems: tuple[str, ...] = (), code: int = 0,
) -> int:  # fmt: skip
    return report(labels, recovery_s, memory, problems, metrics=METRICS, code=code)


def test_the_newest_label_of_a_device_in_a_second_counts() -> None:
    later = AgedLabel(2.0, "a", 3.0, 0.1, True)
    other = AgedLabel(1.9, "b", 2.0, 0.1, True)
    assert newest([*LABELS, later, other]) == [LABELS[0], later, other]


def test_quantiles_are_median_95_percent_and_greatest() -> None:
    assert quantiles([float(n) for n in range(100, 0, -1)]) == (51.0, 96.0, 100.0)


def test_fresh_labels_flat_memory_and_a_quick_recovery_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert judged() == 0
    assert "windows: {'published': 7}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"labels": [AgedLabel(1.0, "a", 2.5, 0.1, True)]}, "labels are too old"),
        ({"labels": LABELS[1:]}, "nothing was degraded: that was no overload"),
        ({"memory": (100, 121)}, "memory grows"),
        ({"recovery_s": 10.5}, "no recovery"),
        ({"problems": ("samples",)}, "counters: ('samples',)"),
        ({"code": 1}, "exit code 1"),
    ],
)
def test_each_problem_fails_the_run(options: dict, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert judged(**options) == 1
    assert f"FAILED: {problem}" in capsys.readouterr().out


def test_the_model_is_slowed_by_code_that_runs_before_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Classifier, "classify", lambda self, windows, *others: [*windows, *others])
    exec(SLOWED, {})
    assert Classifier.classify(None, ["window"], "other") == ["window", "other"]  # type: ignore[arg-type]
