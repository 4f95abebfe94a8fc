"""Changes to recordings: each does what its name says and leaves the truth with its samples."""

import numpy as np
from training.evaluation.perturbations import CHANGES, least_rate, perturbed, sampled_at

from hard.recordings.recordings import Recording

TIME = 1.6e9 + np.arange(0, 10, 0.02)
XYZ = np.random.default_rng(0).normal([0, 9.8, 1], [2, 9, 2], (len(TIME), 3))
RUN = Recording("anna", TIME, XYZ, np.where(TIME[250] > TIME, "Walking", "Sitting"))


def test_each_is_a_recording_of_the_same_person_and_truth() -> None:
    found = dict(perturbed([RUN, RUN]))
    assert found.keys() == CHANGES.keys()
    for runs in found.values():
        for run in runs:
            assert run.subject == "anna"
            assert run.truth is not None
            assert len(run.time) == len(run.xyz) == len(run.truth)
            assert not np.array_equal(run.xyz, XYZ)
            switch = run.time[np.flatnonzero(run.truth == "Sitting")[0]]
            assert 0 <= switch - TIME[250] <= 0.05
        assert np.array_equal(runs[0].xyz, runs[1].xyz)  # what is drawn is the subject's


def test_turning_keeps_lengths_and_clipping_the_range() -> None:
    found = {name: runs[0].xyz for name, runs in perturbed([RUN])}
    assert np.allclose(np.linalg.norm(found["turned at random"], axis=1), np.linalg.norm(XYZ, axis=1))
    assert np.abs(XYZ).max() > 20 > np.abs(found["range of ± 2 g"]).max() > 19


def test_polling_takes_the_newest_sample() -> None:
    polled = dict(perturbed([RUN]))["20 Hz, polled"][0]
    assert np.allclose(np.diff(polled.time), 0.05)
    for time, xyz in zip(polled.time, polled.xyz, strict=True):
        assert np.array_equal(xyz, XYZ[time + 1e-6 >= TIME][-1])


def test_a_slower_device_gives_fewer_samples_and_a_faster_one_nothing_new() -> None:
    (slow,) = sampled_at([RUN], 12.5)
    assert np.allclose(np.diff(slow.time), 0.08)
    assert sampled_at([RUN], 50.0)[0] is sampled_at([RUN], 60.0)[0] is RUN


def test_the_least_rate_is_the_last_before_one_that_costs_too_much() -> None:
    assert least_rate(((50.0, 0.93), (25.0, 0.94), (20.0, 0.925), (12.5, 0.91), (10.0, 0.93))) == 20.0
    assert least_rate(((50.0, 0.91), (25.0, 0.94), (20.0, 0.93))) == 20.0
    assert least_rate(((50.0, 0.0), (25.0, 0.0))) is None
    assert least_rate(()) is None
