"""Every metric as Prometheus sees it: named by its rules, none absent before its first event, counted once."""

from __future__ import annotations

import re
import subprocess

from support.exposition import INFO, LABELS, exposition, metrics, prediction
from support.prometheus import installed

from hard.monitoring.accounting import REASONS


def test_promtool_finds_nothing_to_say() -> None:
    done = subprocess.run(
        [installed("promtool"), "check", "metrics"],
        check=False,
        input=exposition(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_label_is_counted_from_zero() -> None:
    for label in LABELS:
        for accepted in ("true", "false"):
            assert f'hard_labels_total{{accepted="{accepted}",label="{label}"}} 0.0\n' in exposition()


def test_every_reason_of_rejection_is_counted_from_zero() -> None:
    assert 'hard_rejected_messages_total{reason="json"} 1.0\n' in exposition()
    for reason in set(REASONS) - {"json"}:
        assert f'hard_rejected_messages_total{{reason="{reason}"}} 0.0\n' in exposition()


def test_a_label_is_counted_with_all_that_is_known_of_it() -> None:
    registry, seen = metrics()
    seen.labelled(prediction("Walking", 0.9, familiar=0.02), True)
    seen.labelled(prediction("Walking", 0.4, degraded=True, calibrated=False), False)
    value = registry.get_sample_value
    assert value("hard_labels_total", {"label": "Walking", "accepted": "true"}) == 1
    assert value("hard_labels_total", {"label": "Walking", "accepted": "false"}) == 1
    assert value("hard_degraded_labels_total") == 1
    assert value("hard_uncalibrated_labels_total") == 1
    assert value("hard_confidence_bucket", {"le": "0.4"}) == 1
    assert value("hard_confidence_count") == 2
    assert value("hard_familiar_bucket", {"le": "0.01"}) == 0
    assert value("hard_familiar_bucket", {"le": "0.02"}) == value("hard_familiar_count") == 1


def test_what_the_model_learnt_stands_beside_what_it_meets() -> None:
    registry, _ = metrics()
    value = registry.get_sample_value
    assert value("hard_training_windows", {"label": "Walking"}) == 30
    assert value("hard_feature_levels_total", {"level": "00"}) == 7
    assert value("hard_training_feature_level_ratio", {"level": "01"}) == 0.75
    assert value("hard_model_info", INFO) == 1


def test_there_is_no_second_series_for_when_a_counter_began() -> None:
    assert not re.search(r"_created\b", exposition())
