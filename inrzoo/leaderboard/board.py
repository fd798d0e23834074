"""The board: all results, as Markdown, as HTML and in the Hub's own format."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from inrzoo.leaderboard.definition import find, names
from inrzoo.leaderboard.result import Result

HEAD = ("encoder", "%", "training INRs × steps", "parameters", "multiply-adds an INR", "CPU minutes", "command")
GROUPS = {
    "weights": "Reads the weights",
    "function": "Reads the function: it evaluates the INR, and with enough probes reads the signal",
}


def read_results(folder: Path) -> list[Result]:
    """Return all results in a folder, one folder a benchmark task, the best ones of a task first.

    Raises:
        InrzooError: a file is no result.
    """
    results = [Result.read(path) for path in sorted(folder.glob("*/*.json"))]
    return sorted(results, key=lambda result: (result.task, -result.mean))


def as_markdown(results: Sequence[Result]) -> str:
    """Return the board as Markdown: a section for each task, a table for each group."""
    lines: list[str] = []
    for task in _tasks(results):
        definition = find(task) if task in names() else None
        lines += [f"### {task}", ""]
        if definition:
            lines += [
                f"{definition.title}. {definition.rule}",
                "",
                f"Measure: {definition.measure} of {definition.split}.",
                "",
            ]
            lines += ["```text", *definition.commands, "```", ""]
            lines += [f"PATH: {definition.source}.", ""] if definition.source else []
        for reads, rows in _groups(results, task):
            lines += [f"**{GROUPS[reads]}**", "", f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
            lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
            lines.append("")
    return "\n".join(lines)


def as_html(results: Sequence[Result]) -> str:
    """Return the board as one HTML page without scripts."""
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>inrzoo leaderboard</title>"]
    parts.append("<style>body{font:16px sans-serif;margin:2rem}td,th{padding:.2rem .8rem;text-align:left}</style>")
    parts.append("<h1>Leaderboard</h1>")
    for task in _tasks(results):
        definition = find(task) if task in names() else None
        parts.append(f"<h2>{html.escape(task)}</h2>")
        if definition:
            parts.append(f"<p>{html.escape(definition.title)}. {html.escape(definition.rule)}</p>")
        for reads, rows in _groups(results, task):
            parts.append(f"<h3>{html.escape(GROUPS[reads])}</h3><table><tr>")
            parts += [f"<th scope=col>{html.escape(head)}</th>" for head in HEAD]
            for row in rows:
                cells = "".join(f"<td>{html.escape(cell.strip('`'))}</td>" for cell in _cells(row))
                parts.append(f"</tr><tr>{cells}")
            parts.append("</tr></table>")
    return "\n".join(parts) + "\n</html>\n"


def hub_results(results: Iterable[Result], dataset: str, revision: str | None = None) -> list[dict[str, object]]:
    """Return results as entries of a model repository's `.eval_results/*.yaml` on the Hub.

    Args:
        results: of one encoder.
        dataset: `USER/NAME` of the dataset on the Hub.
        revision: commit of the dataset.
    """
    entries: list[dict[str, object]] = []
    for result in results:
        pinned: dict[str, object] = {"id": dataset, "task_id": result.task}
        if revision:
            pinned["revision"] = revision
        notes = f"{result.measure}; reads the {result.reads}; {len(result.seeds)} training seed(s); {result.command}"
        entries.append({"dataset": pinned, "value": round(result.mean, 2), "notes": notes})
    return entries


def _tasks(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(result.task for result in results))


def _groups(results: Sequence[Result], task: str) -> Iterable[tuple[str, list[Result]]]:
    for reads in GROUPS:
        rows = [result for result in results if result.task == task and result.reads == reads]
        if rows:
            yield reads, rows


def _cells(result: Result) -> list[str]:
    interval = "" if result.interval is None else f" ± {result.interval:.1f}"
    minutes = sum(result.cpu_seconds) / len(result.cpu_seconds) / 60
    return [
        result.name,
        f"{result.mean:.1f}{interval} ({len(result.seeds)} seed{'s' if len(result.seeds) > 1 else ''})",
        f"{result.training_inrs:,} × {result.steps:,}",
        f"{result.parameters:,}",
        f"{result.multiply_adds / 1e6:.2f} M",
        f"{minutes:.1f}",
        f"`{result.command}`",
    ]
