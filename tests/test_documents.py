"""What the documents name exists, and what exists is documented."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from support.exposition import exposition

from hard import cli
from hard.daemon.reload import LIVE
from hard.monitoring.accounting import REASONS
from hard.outputs import publisher
from hard.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
HARD = ROOT / "hard"
DOCUMENTS = sorted(p for p in ROOT.rglob("*.md") if not any(part.startswith(".") for part in p.relative_to(ROOT).parts))


def section(page: Path, title: str) -> str:
    """The text below the heading `title`, up to the next heading of its level."""
    (hashes, text) = re.findall(rf"^(#+) {re.escape(title)}\n(.*)", page.read_text(), flags=re.M | re.S)[0]
    return re.split(rf"^#{{1,{len(hashes)}}} ", text, flags=re.M)[0]


def rows(text: str) -> list[str]:
    """The name in the first cell of each row."""
    return re.findall(r"^\| `([^`]+)` \|", text, flags=re.M)


def anchors(document: Path) -> set[str]:
    """The headings of `document` as a link names them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def setting_defaults() -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in Settings():
        if isinstance(value, BaseModel):
            found.update({f"{name}.{inner}": v for inner, v in value})
        else:
            found[name] = value
    return found


def test_the_options_of_hard_label_are_documented() -> None:
    commands = next(action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction))
    options = [action.option_strings[0] for action in commands.choices["label"]._actions if action.option_strings]
    documented = rows((HARD / "recordings" / "README.md").read_text())
    assert [name.split()[0] for name in documented] == [name for name in options if name != "-h"]


def test_the_settings_table_is_the_settings() -> None:
    assert rows((HARD / "SETTINGS.md").read_text()) == list(setting_defaults())


def test_the_defaults_in_the_table_are_the_defaults() -> None:
    shown = dict(re.findall(r"^\| `([^`]+)` \| ([^|]*?) ?\|", (HARD / "SETTINGS.md").read_text(), flags=re.M))
    for name, default in setting_defaults().items():
        if name == "state.dir":
            continue
        text = shown[name].strip()
        if isinstance(default, bool):
            assert text == str(default).lower(), name
        elif isinstance(default, (int, float)):
            assert float(text) == default, name
        elif isinstance(default, tuple):
            assert text == str(list(default)).replace("'", '"'), name
        else:
            assert text == str(default or "").replace("**********", ""), name


def test_the_settings_that_reload_are_listed() -> None:
    first = section(HARD / "SETTINGS.md", "Reload").split("\n\n")[0]
    assert set(re.findall(r"`([a-z_.]+)`", first)) == LIVE


def test_the_metrics_table_is_the_metrics() -> None:
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposition(), flags=re.M))
    page = HARD / "monitoring" / "README.md"
    assert dict(re.findall(r"^\| `([^`]+)` \| (\w+) \|", section(page, "Metrics"), flags=re.M)) == types


def test_the_labels_of_metrics_are_documented_and_none_is_the_device() -> None:
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", exposition(), flags=re.M):
        found.setdefault(re.sub("_(bucket|sum|count)$", "", name), set()).update(re.findall(r'(\w+)="', labels))
    metrics = section(HARD / "monitoring" / "README.md", "Metrics")
    for name, labels in re.findall(r"^\| `([^`]+)` \| \w+ \| ([^|]*) \|", metrics, flags=re.M):
        assert set(re.findall(r"`(\w+)`", labels)) == found.get(name, set()) - {"le"}, name
    assert not any("device" in labels for labels in found.values())


def test_the_label_payload_is_documented_field_by_field() -> None:
    example = re.search(r"```json\n(.*?)```", (HARD / "outputs" / "README.md").read_text(), flags=re.S)
    assert example
    top = set(re.findall(r'"(\w+)": ', re.sub(r": \{[^}]*\}", ": 0", example.group(1))))
    assert top == set(publisher.ActivityPayload.__struct_fields__)


def test_every_promise_names_tests_that_exist() -> None:
    promises = re.split(r"^- \*\*", (HARD / "pipeline" / "README.md").read_text(), flags=re.M)[1:]
    assert len(promises) > 20
    named = [re.findall(r"^  - `(\S+\.py)::(test_\w+)`$", promise, flags=re.M) for promise in promises]
    assert all(named), [promise for promise, tests in zip(promises, named, strict=True) if not tests]
    missing = [f"{file}::{test}" for tests in named for file, test in tests if not defines(ROOT / "tests" / file, test)]
    assert not missing, "hard/pipeline/README.md names tests that don't exist: " + ", ".join(missing)


def defines(file: Path, test: str) -> bool:
    return file.exists() and f"def {test}(" in file.read_text()


def test_every_reason_of_refusal_is_documented() -> None:
    source = "".join(file.read_text() for file in HARD.rglob("*.py"))
    raised = set(re.findall(r'PayloadError\(\s*"(\w+)"', source)) | {"json", "retained", "internal"}
    refused = section(HARD / "formats" / "README.md", "Refused messages")
    table = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", refused, flags=re.M)
    assert set(re.findall(r"`(\w+)`", " ".join(table))) == raised == set(REASONS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]+))?\)", document.read_text()):
        linked = document.parent / target if target else document
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"


def file_tree(page: Path) -> dict[str, str]:
    """Each path of the page's file tree, folders with a slash at the end, and its line."""
    block = section(page, "The file tree").split("```\n")[1]
    found: dict[str, str] = {}
    folders: list[str] = []
    for indent, name, line in re.findall(r"^( *)(\S+) +(\S.*)$", block, flags=re.M):
        del folders[len(indent) // 2 :]
        found["".join(folders) + name] = line
        folders.append(name)
    return found


@pytest.mark.parametrize("folder", ["hard", "scripts"])
def test_the_file_tree_names_every_package_and_module_and_no_other(folder: str) -> None:
    top = ROOT / folder
    modules = {p.relative_to(top).as_posix() for p in top.rglob("*.py") if not p.name.startswith("__")}
    packages = {f"{p.parent.relative_to(top).as_posix()}/" for p in top.rglob("*/__init__.py")}
    tree = set(file_tree(top / "README.md"))
    missing = sorted((modules | packages) - tree)
    gone = sorted(path for path in tree if not (top / path).exists())
    assert not missing, f"add a line to the file tree of {folder}/README.md for: {', '.join(missing)}"
    assert not gone, f"the file tree of {folder}/README.md names files that don't exist: {', '.join(gone)}"
