"""Two checkouts are measured in turns by their own processes. No test asserts how long anything takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import benchmark
import pytest
from benchmarks import against
from benchmarks.comparison import Measured

from hard.errors import CommandError, UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Another checkout with the same code."""
    shutil.copytree(ROOT / "hard", tmp_path / "other" / "hard", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "other"


def test_the_quick_set_leaves_out_what_takes_long() -> None:
    quick, full = against.choose(None, quick=True), against.choose(None, quick=False)
    assert quick.keys() < full.keys()
    assert "labels-2000" not in quick
    assert list(against.choose(["labels-2000", "json"], quick=True)) == ["labels-2000", "json"]
    with pytest.raises(UsageError, match=r"no comparison 'speed'; choose from json"):
        against.choose(["speed"], quick=True)


def test_a_folder_without_hard_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no checkout"):
        against.checkout_at(tmp_path)


def test_a_checkout_runs_its_own_code(copy: Path) -> None:
    where = against.checkout_at(copy)
    assert where.python("-c", "import hard; print(hard.__file__)").strip() == str(copy / "hard" / "__init__.py")
    assert where.model_digests() == against.checkout_at(ROOT).model_digests()
    with pytest.raises(CommandError, match="no_such_module"):
        where.python("-m", "no_such_module")


def test_the_checkouts_take_turns(copy: Path, tmp_path: Path) -> None:
    seen: list[Path] = []

    def note(checkout: against.Checkout, folder: Path) -> list[Measured]:
        seen.append(checkout.path)
        return [Measured("one", "s", float(len(seen)), True), Measured("two", "s", 1.0)]

    this, other = against.checkout_at(ROOT), against.checkout_at(copy)
    record = against.compare(
        this, other, {"note": note}, tmp_path / "work", turns=3, tolerance=0.05, say=lambda _: None
    )  # fmt: skip
    assert seen == [this.path, other.path] * 3
    assert [each.name for each in record.comparisons] == ["one", "two"]
    assert record.comparisons[0].this == 3.0
    assert record.comparisons[0].other == 4.0
    assert record.bundle_differs_in == []


@pytest.mark.slow
@pytest.mark.usefixtures("needs_mosquitto")
def test_a_copy_is_measured_against_its_original(copy: Path, tmp_path: Path) -> None:
    everything = against.all_benchmarks(1.0, devices_share=0.02)
    chosen = {name: everything[name] for name in ("csv", "labels-100", "classify")}
    this, other = against.checkout_at(ROOT), against.checkout_at(copy)
    record = against.compare(this, other, chosen, tmp_path / "work", turns=2, tolerance=0.05, say=lambda _: None)
    judged = [each.unit for each in record.comparisons if each.judged]
    assert judged == ["CPU ms a message", "CPU ms a label", "CPU ms a window", "CPU ms a window"]
    for each in record.comparisons:
        assert each.turns == 2
        assert each.this > 0, each
        assert each.other > 0, each


@pytest.mark.slow
@pytest.mark.usefixtures("needs_mosquitto")
@pytest.mark.parametrize("name", ["json", "one-sample", "bulk", "startup"])
def test_every_other_figure_is_measured(name: str, tmp_path: Path) -> None:
    measured = against.all_benchmarks(1.0, devices_share=0.02)[name](against.checkout_at(ROOT), tmp_path / "one")
    assert measured
    assert all(each.value > 0 for each in measured)


@pytest.mark.parametrize(("ratio", "code"), [(1.0, 0), (1.2, 1)])
def test_the_exit_code_says_whether_a_cost_is_worse(
    ratio: float, code: int, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "TRANSFORMERS_VERBOSITY", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "1")  # so that the script sets none of them in this process
    values = iter([ratio, 1.0] * benchmark.LEAST_TURNS)
    monkeypatch.setattr(
        against, "choose", lambda *_, **__: {"any": lambda *_: [Measured("any", "CPU ms", next(values), True)]}
    )
    file = tmp_path / "out.json"
    assert benchmark.main(["--against", str(copy), "--json", str(file)]) == code
    assert '"ratio": 1.' in file.read_text()


def test_what_cannot_be_compared_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.parser().parse_args(["--against", str(tmp_path), "--turns", "6"])
    assert "6 is less than 7" in capsys.readouterr().err
