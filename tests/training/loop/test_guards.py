"""Each way in which a fine-tune fails silently stops it, with one sentence."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from training.errors import RefusedError, StoppedError
from training.loop import guards
from training.loop.guards import Guard


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_stops(value: float) -> None:
    with pytest.raises(StoppedError, match=r"the loss is -?(nan|inf) at step 3: .* --lr"):
        Guard().check_loss(torch.tensor(value), 3)


def test_a_loss_of_exactly_zero_stops() -> None:
    with pytest.raises(StoppedError, match=r"exactly zero at step 1: .* never train in fp16"):
        Guard().check_loss(torch.tensor(0.0), 1)


def test_a_small_loss_does_not() -> None:
    Guard().check_loss(torch.tensor(1e-9), 1)


def test_a_gradient_that_is_not_finite_stops() -> None:
    model = torch.nn.Linear(2, 2)
    model.weight.grad = torch.full((2, 2), float("nan"))
    with pytest.raises(StoppedError, match="a gradient is not finite at step 8"):
        Guard().on_pre_optimizer_step(None, SimpleNamespace(global_step=7), None, model=model)


def test_a_validation_loss_that_is_not_finite_stops() -> None:
    with pytest.raises(StoppedError, match="the validation loss is nan"):
        Guard().on_evaluate(None, SimpleNamespace(global_step=7), None, metrics={"eval_loss": float("nan")})


def test_fp16_is_refused() -> None:
    with pytest.raises(RefusedError, match="fp16 is refused"):
        guards.choose_precision("fp16")


@pytest.mark.parametrize(
    ("capability", "precision", "reason"),
    [(None, "fp32", "no GPU"), ((7, 5), "fp32", "7.5, below 8.0"), ((8, 0), "bf16", "8.0"), ((9, 0), "bf16", "9.0")],
)
def test_bf16_only_where_the_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] | None, precision: str, reason: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    chosen, why = guards.choose_precision()
    assert chosen == precision
    assert reason in why
    assert guards.choose_precision("fp32")[0] == "fp32"
    if precision == "fp32":
        with pytest.raises(RefusedError, match="bf16 needs a GPU"):
            guards.choose_precision("bf16")


def noisy(loss: float, updates: int) -> list[float]:
    """Losses about `loss`, as batches give them."""
    return [loss + 0.001 * (-1) ** i for i in range(updates)]


def run_guard(losses: list[float], guard: Guard | None = None, begun_at: int = 0, **options: Any) -> Guard:
    """A training with one batch an update, whose weights move."""
    model = torch.nn.Linear(2, 2)
    guard = guard or Guard(**options)
    guard.on_train_begin(None, SimpleNamespace(global_step=begun_at), None, model=model)
    for step, loss in enumerate(losses, begun_at + 1):
        guard.check_loss(torch.tensor(loss), step)
        with torch.no_grad():
            model.weight.add_(0.01)
        guard.on_step_end(None, SimpleNamespace(global_step=step), None, model=model)
    return guard


def test_a_loss_that_does_not_move_stops_after_the_warm_up() -> None:
    run_guard(noisy(2.0, 99))
    with pytest.raises(StoppedError, match=r"not fallen by 1 % in 100 updates \(2\.0000 at first, 1\.9900 now\): .*lr"):
        run_guard(noisy(2.0, 50) + noisy(1.99, 50))
    run_guard(noisy(2.0, 50) + noisy(1.97, 50))


def test_a_loss_that_is_always_the_same_stops() -> None:
    with pytest.raises(StoppedError, match=r"has been 2\.564900 to the digit for 50 updates, until step 170: .*lr"):
        run_guard(noisy(4.0, 60) + noisy(3.0, 60) + [2.5649] * 60)


def test_the_warm_up_is_an_epoch_where_that_is_longer() -> None:
    run_guard(noisy(2.0, 299), steps_an_epoch=300)
    with pytest.raises(StoppedError, match="in 300 updates"):
        run_guard(noisy(2.0, 300), steps_an_epoch=300)


def test_a_model_that_begins_able_need_not_get_better() -> None:
    run_guard(noisy(0.1, 500), begins_able=True)


def ended(losses: list[float], **options: Any) -> None:
    """A training that ends after these updates."""
    guard = run_guard(losses, **options)
    guard.on_train_end(None, SimpleNamespace(global_step=len(losses)), None)


def test_a_short_training_is_measured_at_its_end() -> None:
    ended(noisy(2.0, 9))  # too few to judge by
    ended(noisy(2.0, 10) + noisy(1.9, 10))
    ended(noisy(0.1, 60), begins_able=True)
    with pytest.raises(StoppedError, match="not fallen by 1 % in 60 updates"):
        ended(noisy(2.0, 60))
    with pytest.raises(StoppedError, match="not fallen by 1 % in 150 updates"):
        ended(noisy(2.0, 150), steps_an_epoch=200)


def test_a_loss_that_rises_stops() -> None:
    run_guard(noisy(0.05, 1) + noisy(0.9, 99), begins_able=True)  # a jolt at first is no divergence
    ended(noisy(2.0, 25) + noisy(4.0, 25) + noisy(1.0, 25), begins_able=True)
    with pytest.raises(StoppedError, match=r"risen from 2\.\d+ to 4\.\d+ in 100 updates: training diverges"):
        run_guard(noisy(2.0, 50) + noisy(4.1, 60), begins_able=True)
    with pytest.raises(StoppedError, match=r"risen from 2\.\d+ to 9\.\d+ in 20 updates"):
        ended(noisy(2.0, 1) + noisy(9.5, 19), begins_able=True)


def test_what_a_guard_has_seen_outlives_an_interruption() -> None:
    before = run_guard(noisy(2.0, 60))
    kept = json.loads(json.dumps(before.state()))
    after = Guard(**kept["args"])
    for name, value in kept["attributes"].items():
        setattr(after, name, value)
    with pytest.raises(StoppedError, match="not fallen by 1 % in 100 updates"):
        run_guard(noisy(2.0, 60), guard=after, begun_at=60)


def test_weights_that_do_not_move_stop() -> None:
    guard, model = Guard(), torch.nn.Linear(2, 2)
    guard.on_train_begin(None, SimpleNamespace(global_step=0), None, model=model)
    for step in range(1, guards.MOVED_AFTER):
        guard.on_step_end(None, SimpleNamespace(global_step=step), None, model=model)
    with pytest.raises(StoppedError, match=r"no weight has moved in 10 updates: .* raise --lr, and train in fp32"):
        guard.on_step_end(None, SimpleNamespace(global_step=guards.MOVED_AFTER), None, model=model)
