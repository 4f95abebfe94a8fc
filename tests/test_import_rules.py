"""Each package imports only what its list allows: read from the source of every file, imports in functions included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from sys import stdlib_module_names

import pytest

import hard

ROOT = Path(hard.__file__).parents[1]
VALUES = ("hard.records", "hard.units", "hard.errors")
# For each package or top-level module of hard/ what it may import beside itself and the standard library. From the
# bottom to the top: an entry names only packages of entries before it.
ALLOWED: dict[str, tuple[str, ...]] = {
    "hard": (),
    "hard.errors": (),
    "hard.units": (),
    "hard.records": ("numpy",),
    "hard.setting_types": ("pydantic", "hard.units"),
    "hard.setting_errors": (),
    "hard.settings": (
        "pydantic", "pydantic_settings", "hard.errors", "hard.units", "hard.setting_types", "hard.setting_errors",
    ),
    "hard.simulator": ("numpy", "msgspec", *VALUES),
    "hard.monitoring": ("numpy", "msgspec", "prometheus_client", *VALUES, "hard.settings"),
    "hard.motion": ("numpy", *VALUES),
    "hard.mqtt": ("paho", *VALUES, "hard.monitoring.rate_limited_log"),
    "hard.model": (
        "numpy", "msgspec", "sentencepiece", "onnxruntime", "torch", "transformers", *VALUES,
        "hard.motion.features", "hard.motion.mounting", "hard.motion.windows",
    ),
    "hard.recordings": ("numpy", "pyarrow", *VALUES, "hard.settings", "hard.motion", "hard.model.bundle"),
    "hard.journal": ("numpy", "msgspec", *VALUES, "hard.motion.devices"),
    "hard.formats": ("numpy", "msgspec", "cbor2", *VALUES),
    "hard.outputs": ("numpy", "msgspec", *VALUES, "hard.mqtt.outbox"),
    "hard.pipeline": (
        "numpy", *VALUES, "hard.monitoring", "hard.motion.devices", "hard.motion.diagnosis", "hard.model.classifier",
        "hard.journal",
        "hard.formats", "hard.outputs",
    ),
    "hard.daemon": (
        "numpy", "msgspec", "prometheus_client", "pydantic", "hard.__version__", *VALUES, "hard.settings",
        "hard.monitoring", "hard.motion", "hard.mqtt", "hard.model", "hard.journal", "hard.formats", "hard.outputs",
        "hard.pipeline",
    ),
    "hard.commands": (
        "numpy", "msgspec", "amqtt", "rich", "hard.__version__", *VALUES, "hard.settings", "hard.simulator",
        "hard.monitoring", "hard.motion", "hard.mqtt", "hard.model", "hard.recordings", "hard.formats",
        "hard.outputs.acceptance", "hard.outputs.diagnosis", "hard.outputs.state", "hard.pipeline.sender_rules",
        "hard.daemon",
    ),
    "hard.cli": ("hard.__version__", *VALUES, "hard.commands.arguments"),
    "hard.__main__": ("hard.cli",),
}  # fmt: skip
# The only files that may import these.
ONLY_IN = {
    "torch": ("hard/model/scorer_torch.py", "scripts/training/", "scripts/benchmarks/"),
    "transformers": ("hard/model/scorer_torch.py", "scripts/training/", "scripts/benchmarks/"),
    "onnxruntime": ("hard/model/scorer_onnx.py", "scripts/training/", "scripts/benchmarks/"),
    "sentencepiece": ("hard/model/tokens.py", "scripts/training/"),
    "cbor2": ("hard/formats/cbor.py",),
    "pyarrow": ("hard/recordings/parquet.py", "scripts/training/"),
    "paho": ("hard/mqtt/", "scripts/benchmarks/", "scripts/soak/"),
}  # fmt: skip
# Parts of scripts/training, from the first to the last: each imports only those before it.
TRAINING = (
    "training.errors", "training.options", "training.base_bundle", "training.recipe", "training.data", "training.model",
    "training.loop", "training.results", "training.export", "training.evaluation", "training.report", "training.resume",
    "training.sealing", "training.finetune", "training.crossval",
)  # fmt: skip
UNSAFE = ("pickle", "shelve", "marshal", "joblib")  # what is read with these can run code


def name_of(file: Path) -> str:
    """The module's full name, as it is imported: without `scripts`."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__").removeprefix("scripts.")


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def imported(file: Path) -> Iterator[str]:
    """Full names of all that `file` imports. `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = {name_of(file): file for folder in ("hard", "scripts") for file in sorted((ROOT / folder).rglob("*.py"))}
TESTS = sorted((ROOT / "tests").rglob("*.py"))
HARD = [name for name in FILES if within(name, "hard")]


def package_of(module: str) -> str:
    """The entry of ALLOWED that `module` belongs to."""
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("module", HARD)
def test_a_module_imports_what_its_package_may(module: str) -> None:
    package = package_of(module)
    for name in imported(FILES[module]):
        assert within(name, package, *ALLOWED[package], *stdlib_module_names), f"{module} imports {name}"


def test_no_package_may_import_what_stands_above_it() -> None:
    below: set[str] = {"hard"}
    for package, allowed in ALLOWED.items():
        up = {name for name in allowed if within(name, "hard") and package_of(name) not in {*below, "hard.__version__"}}
        assert not up, f"{package} may import {', '.join(sorted(up))}, which stands above it"
        below.add(package)


def test_no_modules_import_one_another_in_a_circle() -> None:
    graph = TopologicalSorter[str]()
    for module, file in FILES.items():
        for name in imported(file):
            source = name if name in FILES else name.rpartition(".")[0]
            if source in FILES and source != module:
                graph.add(module, source)
    graph.prepare()  # raises CycleError, with the circle


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("training.")])
def test_a_module_of_training_imports_only_what_stands_before_its_package(module: str) -> None:
    before = TRAINING[: TRAINING.index(package_of(module)) + 1]
    late = [name for name in imported(FILES[module]) if within(name, "training") and not within(name, *before)]
    assert not late, f"{module} imports {', '.join(late)}"


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_heavy_library_is_imported_only_where_it_may_be(library: str) -> None:
    for file in FILES.values():
        if any(within(name, library) for name in imported(file)):
            assert file.relative_to(ROOT).as_posix().startswith(ONLY_IN[library]), file


def test_nothing_is_pickled() -> None:
    for module in HARD:
        assert not [name for name in imported(FILES[module]) if within(name, *UNSAFE)], module


def test_every_module_is_imported_by_a_test() -> None:
    """By name, or by `importorskip`. A command line and a package's docstring need none."""
    needed = {name for name, file in FILES.items() if within(name, "hard", "training") and file.stem[:2] != "__"}
    for file in TESTS:
        needed -= set(imported(file)) | {name.rpartition(".")[0] for name in imported(file)} | texts(file)
    assert not needed, f"no test imports {', '.join(sorted(needed))}"


def test_no_test_file_imports_another() -> None:
    for file in TESTS:
        assert not [name for name in imported(file) if "test_" in f".{name}".rpartition(".")[0]], file


def texts(file: Path) -> set[str]:
    """All string literals in `file`."""
    return {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)}
