"""What the documents name exists, and what exists is documented."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from support.exposition import exposition

from hard import cli
from hard.formats import payloads
from hard.monitoring.accounting import REASONS
from hard.outputs import publisher
from hard.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = (ROOT / "hard" / "README.md").read_text()


def section(title: str) -> str:
    return REFERENCE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[str]:
    """The name in the first cell of each row."""
    return re.findall(r"^\| `([^`]+)` \|", text, flags=re.M)


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
    assert [name.split()[0] for name in rows(section("Recordings"))] == [name for name in options if name != "-h"]


def test_the_settings_table_is_the_settings() -> None:
    assert rows(section("Settings")) == list(setting_defaults())


def test_the_defaults_in_the_table_are_the_defaults() -> None:
    shown = dict(re.findall(r"^\| `([^`]+)` \| ([^|]*?) ?\|", section("Settings"), flags=re.M))
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


def test_the_metrics_table_is_the_metrics() -> None:
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposition(), flags=re.M))
    shown = dict(re.findall(r"^\| `([^`]+)` \| (\w+) \|", section("Metrics"), flags=re.M))
    assert shown == types


def test_the_labels_of_metrics_are_documented_and_none_is_the_device() -> None:
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)\{(.*)\} ", exposition(), flags=re.M):
        found.setdefault(re.sub("_(bucket|sum|count)$", "", name), set()).update(re.findall(r'(\w+)="', labels))
    shown = dict(re.findall(r"^\| `([^`]+)` \| \w+ \| ([^|]*) \|", section("Metrics"), flags=re.M))
    for name, labels in shown.items():
        assert set(re.findall(r"`(\w+)`", labels)) == found.get(name, set()) - {"le"}, name
    assert not any("device" in labels for labels in found.values())


def test_the_label_payload_is_documented_field_by_field() -> None:
    example = re.search(r"```json\n(.*?)```", REFERENCE, flags=re.S)
    assert example
    top = set(re.findall(r'"(\w+)": ', re.sub(r": \{[^}]*\}", ": 0", example.group(1))))
    assert top == set(publisher.ActivityPayload.__struct_fields__)


def test_every_promise_names_tests_that_exist() -> None:
    table = section("Windows, clocks and loss").split("### What it promises")[1]
    promises = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(promises) > 20
    for promise in promises:
        named = re.findall(r"`(\S+\.py)::(test_\w+)`", promise)
        assert named, promise
        for file, name in named:
            assert f"def {name}(" in (ROOT / "tests" / file).read_text(), name


def test_every_reason_of_refusal_is_documented() -> None:
    source = Path(payloads.__file__).read_text()
    raised = set(re.findall(r'PayloadError\("(\w+)"', source)) | {"json", "internal"}
    shown = set(
        re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section("Payloads"), flags=re.M)))
    )
    assert shown == raised == set(REASONS)


@pytest.mark.parametrize(
    "document",
    sorted(p for p in ROOT.rglob("*.md") if not any(part.startswith(".") for part in p.relative_to(ROOT).parts)),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_every_room_is_named_in_the_reference() -> None:
    for room in (ROOT / "hard").rglob("*.py"):
        if room.name not in ("__init__.py", "__main__.py") and room.parent.name != "commands":
            assert f"{room.name}" in REFERENCE, room
