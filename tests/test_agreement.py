"""Labels and figures agree: live through mosquitto, and `hard label` streaming and in two passes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.daemon import ACCEPT_ALL, ROOT, daemon, discrepancies
from support.listener import Listener, eventually
from support.mosquitto import Mosquitto

from hard.recordings.recordings import read

SUBJECTS = ("3", "9", "15")


def macro_f1(pairs: list[tuple[str, str]]) -> float:
    """Of (truth, label) pairs. Written out here as an independent check of `recordings/scores.py`."""
    scores = []
    for name in {truth for truth, _ in pairs}:
        hit = sum(truth == label == name for truth, label in pairs)
        scores.append(2 * hit / (sum(t == name for t, _ in pairs) + sum(label == name for _, label in pairs)))
    return sum(scores) / len(scores)


def offline(path: Path, *how: str) -> tuple[list[dict[str, Any]], float]:
    """The lines and the macro-F1 of `hard label` for SUBJECTS; the macro-F1 is also the one that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "hard", "label", str(path), "--subjects", ",".join(SUBJECTS), "--score", *how],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    score = macro_f1([(line["truth"], line["label"]) for line in lines if "truth" in line])
    printed = re.search(r"macro-F1 ([\d.]+)", done.stderr)
    assert printed
    assert float(printed.group(1)) == pytest.approx(score, abs=1e-3)
    return lines, score


@pytest.mark.slow
def test_live_labels_equal_those_of_the_recording(mosquitto: Mosquitto, motionsense: Path) -> None:
    """Through mosquitto each window gets its offline label; the truth is computed without HARD's windows."""
    lines, streamed = offline(motionsense)
    _, two_pass = offline(motionsense, "--two-pass")
    truths = truth_by_order(motionsense)
    mosquitto.reconfigure("max_queued_messages 100000")  # by default it would drop most of a burst before HARD sees it
    with Listener(mosquitto, "hard/+/activity") as listener, daemon(mosquitto.port, "model.max_age_s=600") as running:
        running.ready()
        replay = [
            "replay",
            str(motionsense),
            "--subjects",
            ",".join(SUBJECTS),
            "--speed",
            "0",
            "--broker",
            mosquitto.url,
        ]
        subprocess.run([sys.executable, "-m", "hard", *replay], cwd=ROOT, check=True, timeout=300, capture_output=True)
        eventually(lambda: len(listener.all) >= len(lines), 300)
        assert not any(discrepancies(running).values())
        assert running.stop() == 0
    live = [json.loads(payload) for _, payload in listener.all]
    assert len(live) == len(lines)
    pairs, same = [], 0
    for subject in SUBJECTS:
        given = sorted((label for label in live if label["device"] == subject), key=lambda label: label["end"])
        expected = [line for line in lines if line["subject"] == subject]
        assert len(given) == len(expected) == len(truths[subject])
        same += sum(mine["label"] == theirs["label"] for mine, theirs in zip(given, expected, strict=True))
        pairs += [(truth, label["label"]) for truth, label in zip(truths[subject], given, strict=True) if truth]
    assert same / len(live) > 0.999  # clocks shifted to now round differently
    assert macro_f1(pairs) == pytest.approx(streamed, abs=0.01)
    assert two_pass > macro_f1(pairs)  # the first minutes, in which the mounting isn't learnt, cost something
    assert macro_f1(pairs) >= 0.86


def changes(path: Path, *how: str) -> dict[str, list[tuple[str, float]]]:
    """The states that `hard label --states` prints, and when each begins after the first. `unknown` is left out: with a
    threshold of 0 it stands for the silences between recordings, which a replay at full speed does not have."""
    lines = [
        json.loads(line)
        for line in hard("label", str(path), "--subjects", ",".join(SUBJECTS), "--states", *how).stdout.splitlines()
    ]
    found: dict[str, list[tuple[str, float]]] = {subject: [] for subject in SUBJECTS}
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        own = found[line["subject"]]
        ends = after is None or after["subject"] != line["subject"]
        if (line["to"] != "unknown" or ends) and (not own or own[-1][0] != line["to"]):
            own.append((line["to"], line["at"]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("lag", ["0", "3"])
def test_live_states_are_those_of_the_recording(mosquitto: Mosquitto, motionsense: Path, lag: str) -> None:
    expected = changes(motionsense, "--lag", lag, "--min-confidence", "0", "--min-familiar", "0")
    mosquitto.reconfigure("max_queued_messages 100000")
    options = ("model.max_age_s=600", "ingest.silent_after_s=15", f"labels.lag_s={lag}", *ACCEPT_ALL)
    with Listener(mosquitto, "hard/+/event") as listener, daemon(mosquitto.port, *options) as running:
        running.ready()
        hard("replay", str(motionsense), "--subjects", ",".join(SUBJECTS), "--speed", "0", "--broker", mosquitto.url)
        eventually(lambda: sum(b'"to":"unknown"' in payload for _, payload in listener.all) >= len(SUBJECTS), 300)
        assert running.stop() == 0
    for subject in SUBJECTS:
        events = [json.loads(payload) for topic, payload in listener.all if topic == f"hard/{subject}/event"]
        assert [event["from"] for event in events] == [None, *(event["to"] for event in events[:-1])]
        assert [event["to"] for event in events] == [label for label, _ in expected[subject]]
        since = [event["at"] - events[0]["at"] for event in events]
        assert since == pytest.approx([at - expected[subject][0][1] for _, at in expected[subject]], abs=0.01)


def hard(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hard", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)


def truth_by_order(path: Path) -> dict[str, list[str | None]]:
    """For each subject the truth of each 4 s window at a hop of 1 s, run by run, computed without HARD's windows."""
    truths: dict[str, list[str | None]] = {subject: [] for subject in SUBJECTS}
    runs, _ = read(path)
    for run in runs:
        if run.subject in truths and run.truth is not None:
            start = run.time[0]
            while start + 4 - 1 / 20 <= run.time[-1] + 1e-6:
                inside = set(run.truth[(run.time >= start - 1e-6) & (run.time < start + 4 - 1e-6)])
                truths[run.subject].append(str(inside.pop()) if len(inside) == 1 else None)
                start += 1.0
    return truths
