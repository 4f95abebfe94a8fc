"""Trainer's log becomes epochs."""

import msgspec
from training.loop.trained import Epoch, Trained, history_of

LOG = [
    {"epoch": 1.0, "loss": 0.9},
    {"epoch": 1.0, "eval_loss": 0.8, "eval_served_macro_f1": 0.5},
    {"epoch": 1.5, "loss": 0.7},
    {"epoch": 1.5, "train_runtime": 3.0},
]


def test_an_epoch_has_its_evaluation_where_there_was_one() -> None:
    assert history_of(LOG) == (Epoch(1.0, 0.9, 0.8, 0.5), Epoch(1.5, 0.7, None, None))


def test_what_a_training_came_to_survives_on_disk() -> None:
    trained = Trained(1.0, 1.5, history_of(LOG), False)
    assert msgspec.json.decode(msgspec.json.encode(trained), type=Trained) == trained
