"""A line now and then for the person who waits, and a clock that ends training."""

import pytest
from training.loop.progress import ProgressBar, TrainingClock, duration
from transformers import TrainerControl, TrainerState


def test_the_clock_stops_at_its_deadline_and_saves_within_a_long_epoch() -> None:
    now = 0.0
    clock, control = TrainingClock(1000.0, None, now=lambda: now), TrainerControl()
    state = TrainerState(global_step=5, max_steps=10)
    clock.on_step_end(None, state, control)
    assert not control.should_save
    now = 700.0
    clock.on_step_end(None, state, control)
    assert control.should_save
    assert not control.should_training_stop
    now = 1000.0
    clock.on_step_end(None, state, control)
    assert control.should_training_stop
    assert clock.stopped


def test_the_clock_ends_a_refit_after_its_last_step() -> None:
    clock, control = TrainingClock(None, 5, now=lambda: 0.0), TrainerControl()
    clock.on_step_end(None, TrainerState(global_step=4, max_steps=10), control)
    assert not control.should_training_stop
    clock.on_step_end(None, TrainerState(global_step=5, max_steps=10), control)
    assert control.should_training_stop
    assert not clock.stopped  # by no time limit


def test_without_a_terminal_a_line_a_minute_says_how_much_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    progress = ProgressBar("training", now=lambda: now)
    progress.on_train_begin(None, TrainerState(global_step=0, max_steps=100), None)
    now = 30.0
    progress.on_step_end(None, TrainerState(global_step=10, max_steps=100), None)
    now = 60.0
    progress.on_step_end(None, TrainerState(global_step=20, max_steps=100), None)
    assert capsys.readouterr().err == "training: step 20 of 100, 4 min left at most\n"


def test_durations_are_written_as_people_say_them() -> None:
    assert [duration(s) for s in (3, 89, 400, 7500)] == ["3 s", "89 s", "7 min", "2 h 05 min"]
