"""Each way in which a fine-tune fails silently is told in one sentence."""

from types import SimpleNamespace

import pytest
import torch
from training import guards
from training.guards import Guard, RefusedError, StoppedError


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


def test_labels_that_clash_are_refused() -> None:
    with pytest.raises(RefusedError, match="'Walk' and 'Walks' clash"):
        guards.check_labels([[5], [5, 6]], ["Walk", "Walks"])


def test_a_prompt_over_the_limit_is_refused() -> None:
    guards.check_prompt_length(48, 48)
    with pytest.raises(RefusedError, match="49 tokens, over the limit of 48"):
        guards.check_prompt_length(49, 48)
