"""A run's record → tables for the terminal and in Markdown, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from training.report.markdown import table

from benchmarks.backends import ALL, CTRANSLATE2, GENERATE, NOTEBOOK, OURS_FP32, OURS_INT8

COSTS = ("devices", "batch", "ratio", "daemon_ms", "floor_ms")
NAMES = {"small": "default bundle", "flan": "FLAN-T5-small's shape"}


@dataclass(frozen=True, slots=True)
class NamedTable:
    """One table, for the terminal and for Markdown."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[object]]


def parts(record: dict[str, Any]) -> Iterator[NamedTable]:
    """Every table of a record, ratios first."""
    yield NamedTable("Ratios", ("what", "figure", "target"), list(_ratios(record)))
    for model in ("small", "flan"):
        for threads in (1, 2):
            rows = [r for r in record.get("scorer", ()) if r["model"] == model and r["threads"] == threads]
            if rows:
                yield _scorer(f"Scorer: {NAMES[model]}, {threads} thread{'s' * (threads > 1)}", rows)
    for kind, rows in record.get("pipeline", {}).items():
        yield NamedTable(
            f"Pipeline, durability {kind}: CPU ms a window",
            ("devices", "batch", "daemon / floor", "daemon", "floor", *rows[0]["stages_ms"]),
            [[*map(r.get, COSTS), *r["stages_ms"].values()] for r in rows],
        )  # fmt: skip
    for kind, found in record.get("endtoend", {}).items():
        yield NamedTable(
            f"End to end, {'a plain script' if kind == 'plain' else f'HARD, durability {kind}'}",
            ("load", "devices", "labels", "lost", "p99 s", "ms a label", "broker ms", "MB", "batch", "in time"),
            list(_trials(found)),
        )
    if "startup" in record:
        startup = record["startup"]
        rows = [
            ("ready", f"{startup['ready_s']} s"),
            ("install", f"{startup['install_mb']} MB, {startup['packages']} packages"),
            ("largest packages", ", ".join(startup["largest"])),
        ]
        yield NamedTable("Start-up", ("what", "figure"), rows)


def write(record: dict[str, Any], out: Path, console: Console) -> None:
    """Prints the tables, and writes benchmark.json and benchmark.md to the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    machine = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    about = (
        f"{record['date']}, {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"{machine['system']}, HARD {machine['hard']}, {versions}; load average at the start {machine['load']}; "
        f"{record['minutes']} minutes{', --quick' * record['quick']}."
    )
    pages = [about]
    console.print(about, highlight=False)
    for part in parts(record):
        shown = Table(title=part.title, title_justify="left")
        for i, name in enumerate(part.head):
            shown.add_column(name, justify="left" if i == 0 else "right")
        for row in part.rows:
            shown.add_row(*map(str, row))
        console.print(shown)
        pages += [f"### {part.title}", table(part.head, part.rows)]
    (out / "benchmark.md").write_text("\n\n".join(pages) + "\n", encoding="utf-8")
    (out / "benchmark.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _ratios(record: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    rows = {(r["model"], r["threads"], r["backend"], r["batch"]): r for r in record.get("scorer", ())}
    notebook_ms = None
    for model in ("small", "flan"):
        ours = {b: r for (m, t, c, b), r in rows.items() if (m, t, c) == (model, 1, OURS_INT8)}
        if not ours:
            continue
        batch = 32
        others = ((GENERATE, batch, "3, aim 5"), (CTRANSLATE2, batch, "1.5"), (NOTEBOOK, 1, "80"))
        for other, at, target in others:
            ratio = ours[batch]["windows_s"] / rows[model, 1, other, at]["windows_s"]
            cpu = rows[model, 1, other, at]["cpu_ms"] / ours[batch]["cpu_ms"]
            yield f"{NAMES[model]}: int8 / {other}", f"{ratio:.1f} (by CPU {cpu:.1f})", target
        ratio = rows[model, 1, OURS_FP32, batch]["windows_s"] / rows[model, 1, GENERATE, batch]["windows_s"]
        yield f"{NAMES[model]}: fp32 / {GENERATE}", f"{ratio:.1f}", "3, aim 5"
        notebook_ms = 1e3 / rows[model, 1, NOTEBOOK, 1]["windows_s"]
    for kind, lines in record.get("pipeline", {}).items():
        for line in lines:
            yield f"whole daemon / floor, {line['devices']} devices, durability {kind}", line["ratio"], "1.6, aim 1.3"
    for kind, found in record.get("endtoend", {}).items():
        best = found["greatest"]
        server = "plain script" if kind == "plain" else f"durability {kind}"
        yield f"devices with a label a second, {server}", best["devices"] if best else 0, "2000, aim 4000"
        if kind != "plain":
            yield f"cost a window, 100 to 10,000 devices, {server}: highest / lowest", found["flatness"], "1.2"
            if best and notebook_ms:
                times = best["devices"] * notebook_ms / 1e3
                yield f"end to end, {server} / the notebook's way (FLAN-T5-small's shape)", f"{times:.0f}", "200"


def _scorer(title: str, rows: Sequence[dict[str, Any]]) -> NamedTable:
    batches = sorted({r["batch"] for r in rows})
    head = ["", *(f"× generate, batch {b}" for b in batches), *(f"CPU ms, {b}" for b in batches)]
    head += ["share of peak", "greatest difference"]
    lines = []
    for name in ALL:
        mine = {r["batch"]: r for r in rows if r["backend"] == name}
        if mine:
            last, difference = mine[max(mine)], next(iter(mine.values()))["greatest_difference"]
            lines.append([
                name, *(mine[b]["times_generate"] if b in mine else "" for b in batches),
                *(mine[b]["cpu_ms"] if b in mine else "" for b in batches),
                f"{last['share_of_peak']:.0%}", "" if difference is None else f"{difference:.1g}",
            ])  # fmt: skip
    return NamedTable(title, head, lines)


def _trials(found: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    loads = [("a message a second", t) for t in found["tried"]]
    loads += [(f"{t['messages_s']:.0f} labels a second", t) for t in found.get("constant_rate", ())]
    loads += [("one-sample messages", t) for t in found.get("one_sample", {}).get("tried", ())]
    for load, t in loads:
        yield (
            load, t["devices"], t["labels"], t["expected"] - t["labels"], f"{t['p99_s']:.3f}", f"{t['server_ms']:.3f}",
            f"{t['broker_ms']:.3f}", f"{t['rss_mb']:.0f}", f"{t['batch']:.1f}", "yes" if t["in_time"] else "no",
        )  # fmt: skip
