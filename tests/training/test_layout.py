"""Packages of scripts/training import only what stands before them; each module has a test that imports it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.scripts import ROOT

TRAINING = ROOT / "scripts" / "training"
# From the bottom to the top: an entry imports only entries before it.
ORDER = (
    "errors", "options", "base_bundle", "recipe", "data", "model", "loop", "results", "export", "evaluation", "report",
    "resume", "sealing", "finetune", "crossval",
)  # fmt: skip
FILES = {".".join(("training", *p.relative_to(TRAINING).with_suffix("").parts)): p for p in TRAINING.rglob("*.py")}
MODULES = sorted(name for name in FILES if not name.endswith("__init__"))


def imported(file: Path) -> Iterator[str]:
    """Full names of all that `file` imports, in functions too; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_packages_before_its_own(module: str) -> None:
    own = module.split(".")[1]
    for name in imported(FILES[module]):
        if name.startswith("training."):
            other = name.split(".")[1]
            assert other == own or ORDER.index(other) < ORDER.index(own), f"{module} imports {name}"


@pytest.mark.parametrize("module", ["training.errors", "training.options", "training.base_bundle", "training.recipe"])
def test_what_stands_below_the_packages_imports_no_torch(module: str) -> None:
    assert not [name for name in imported(FILES[module]) if name.split(".")[0] in ("torch", "transformers", "sklearn")]


def test_only_the_console_and_what_runs_a_training_print_on_a_console() -> None:
    printing = [name for name in MODULES if any(other.startswith("rich") for other in imported(FILES[name]))]
    assert printing == ["training.crossval", "training.finetune", "training.report.console", "training.sealing"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_test_that_imports_it(module: str) -> None:
    tests = (file for file in (ROOT / "tests" / "training").rglob("test_*.py"))
    names = {other for file in tests for other in imported(file)}
    assert any(other == module or other.startswith(f"{module}.") for other in names), f"no test imports {module}"
