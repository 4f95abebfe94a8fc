"""Who may import whom: read from the source of every file, imports inside functions included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from sys import stdlib_module_names

import pytest

import hard

PACKAGE = Path(hard.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"torch", "transformers"}


def imported(file: Path) -> Iterator[str]:
    """Full names of all that `file` imports: `a.b` and `a.b.c` for `from a.b import c`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("file", sorted((PACKAGE / "motion").glob("*.py")), ids=room)
def test_motion_imports_numpy_and_the_records_alone(file: Path) -> None:
    for name in imported(file):
        assert name == "hard" or within(name, "numpy", "hard.records", "hard.motion", *stdlib_module_names), name


@pytest.mark.parametrize("file", sorted((PACKAGE / "model").glob("*.py")), ids=room)
def test_model_knows_no_wire(file: Path) -> None:
    for name in imported(file):
        assert not within(
            name, "paho", "amqtt", "hard.mqtt", "hard.daemon", "hard.settings", "hard.monitoring.metrics"
        ), name


@pytest.mark.parametrize("file", sorted((PACKAGE / "outputs").glob("*.py")), ids=room)
def test_outputs_know_no_model(file: Path) -> None:
    for name in imported(file):
        assert not within(name, "hard.model", "onnxruntime", "sentencepiece", "tokenizers", *HEAVY), name


def test_torch_and_transformers_are_imported_by_their_scorer_alone() -> None:
    assert [room(f) for f in FILES if any(within(n, *HEAVY) for n in imported(f))] == ["model/scorer_torch.py"]


def test_onnxruntime_is_imported_by_its_scorer_alone() -> None:
    assert [room(f) for f in FILES if any(within(n, "onnxruntime") for n in imported(f))] == ["model/scorer_onnx.py"]


def test_the_package_imports_no_scripts_and_no_tests() -> None:
    assert [room(f) for f in FILES if any(within(n, "scripts", "training", "tests") for n in imported(f))] == []


def test_the_records_import_no_room() -> None:
    assert not [name for name in imported(PACKAGE / "records.py") if within(name, "hard")]


def test_nothing_is_pickled() -> None:
    for file in FILES:
        assert not [n for n in imported(file) if within(n, "pickle", "shelve", "marshal", "joblib")], room(file)
