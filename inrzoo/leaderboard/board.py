"""The board: all results, as Markdown and as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from inrzoo.leaderboard.definition import find, names, network_of
from inrzoo.leaderboard.result import Result

HEAD = ("%", "training INRs × steps", "parameters", "multiply-adds an INR", "CPU minutes", "command")
GROUPS = {
    "weights": "Reads the weights",
    "function": "Reads the function: it evaluates the INR, and with enough probes reads the signal",
}
MODELS = "https://huggingface.co/"
"""Address before the name of a model's page."""


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
            head = _head(rows)
            lines += [f"**{GROUPS[reads]}**", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
            for row in rows:
                name, *cells = _cells(row)
                linked = f"[{name}]({MODELS}{row.model})" if row.model else name
                lines.append(f"| {' | '.join((linked, *cells))} |")
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
            parts += [f"<th scope=col>{html.escape(head)}</th>" for head in _head(rows)]
            for row in rows:
                name, *cells = (html.escape(cell.strip("`")) for cell in _cells(row))
                linked = f'<a href="{MODELS}{html.escape(row.model)}">{name}</a>' if row.model else name
                parts.append(f"</tr><tr>{''.join(f'<td>{cell}</td>' for cell in (linked, *cells))}")
            parts.append("</tr></table>")
    return "\n".join(parts) + "\n</html>\n"


def _tasks(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(result.task for result in results))


def _groups(results: Sequence[Result], task: str) -> Iterable[tuple[str, list[Result]]]:
    for reads in GROUPS:
        rows = [result for result in results if result.task == task and result.reads == reads]
        if rows:
            yield reads, rows


def _head(rows: Sequence[Result]) -> list[str]:
    return [network_of(rows[0].measure), *HEAD]


def _cells(result: Result) -> list[str]:
    interval = "" if result.interval is None else f" ± {result.interval:.1f}"
    minutes = sum(result.cpu_seconds) / len(result.cpu_seconds) / 60
    errors = f", {result.errors}" if result.errors else ""
    return [
        result.name,
        f"{result.mean:.1f}{interval} ({len(result.seeds)} seed{'s' if len(result.seeds) > 1 else ''}){errors}",
        f"{result.training_inrs:,} × {result.steps:,}",
        f"{result.parameters:,}",
        f"{result.multiply_adds / 1e6:.2f} M",
        f"{minutes:.1f}",
        f"`{result.command}`",
    ]
