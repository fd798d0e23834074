"""The record of a run: a line of JSON for each validation, a curve, and a progress bar on the terminal."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import TaskID

from inrzoo.display import folded, is_quiet, progress_bar
from inrzoo.store.files import write_atomically
from inrzoo.tasks.reporting.figures import new_figure, save_figure

METRICS, CURVE = "metrics.jsonl", "curve.png"
"""File names, in the folder of a run, of its metrics and of their curve."""
NAME = re.compile(r"[\w .,%-]{1,80}")
"""Pattern of the name of a recorded number."""


class Journal:
    """Metrics of a run, one JSON object a line, ascending in `step`.

    Args:
        folder: of the run.
        step: later lines are dropped, because they were written after the checkpoint that is continued.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._path, self._curve = folder / METRICS, folder / CURVE
        text = self._path.read_text(encoding="utf-8", errors="replace") if self._path.exists() else ""
        self.lines: list[dict[str, Any]] = []
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # a power cut left half a line
                break
            if not isinstance(entry, dict) or not isinstance(entry.get("step"), int) or entry["step"] > step:
                break
            if not all(NAME.fullmatch(name) for name in entry):  # damaged on the disk
                break
            self.lines.append(entry)
        write_atomically(self._path, "".join(map(_line, self.lines)).encode())

    def add(self, entry: dict[str, Any]) -> None:
        """Append one line."""
        self.lines.append(entry)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(entry))

    def draw(self) -> None:
        """Draw every number over the steps, with one panel for each unit."""
        steps = [entry["step"] for entry in self.lines]
        names = [name for name in (self.lines[0] if self.lines else {}) if name not in ("step", "score", "lr")]
        units = list(dict.fromkeys(name.rpartition("_")[2] for name in names))
        figure = new_figure(5 * max(1, len(units)), 3.5)
        for axes, unit in zip(figure.subplots(1, max(1, len(units)), squeeze=False)[0], units, strict=False):
            for name in names:
                if name.rpartition("_")[2] == unit:
                    axes.plot(steps, [_number(entry.get(name)) for entry in self.lines], label=name.replace("_", " "))
            axes.set(xlabel="step", ylabel=unit)
            axes.legend()
        save_figure(figure, self._curve)


class Bar:
    """Shows steps, loss and remaining time: one line on a terminal, and above or without it a line a validation."""

    def __init__(self, done: int, total: int, quiet: bool) -> None:
        quiet = quiet or is_quiet()
        self._console = Console(stderr=True, quiet=quiet)
        self._progress = progress_bar(self._console, quiet)
        self._task: TaskID = self._progress.add_task("training", total=total, completed=done, note="")
        self._total = total
        if done:
            self._say(f"continuing after step {done:,} of {total:,}")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def advance(self, loss: float) -> None:
        """Count one step and show its loss."""
        self._progress.update(self._task, advance=1, note=f"loss {loss:.4g}")

    def show(self, step: int, rate: float, entry: dict[str, Any]) -> None:
        """Show the numbers of the last validation; `rate` is in steps per second."""
        if sys.stderr.isatty():
            self._say(f"step {step}: {_numbers(entry)}")
        else:
            left = (self._total - step) / rate if rate else math.inf
            self._say(f"{step}/{self._total} steps, {rate:.1f} steps/s, ETA {left:.0f} s: {_numbers(entry)}")

    def _say(self, line: str) -> None:
        self._console.print(folded(line), highlight=False, soft_wrap=not sys.stderr.isatty())


def _numbers(entry: Mapping[str, Any]) -> str:
    """The numbers of a validation in words, by split; the score only if it is none of the others."""
    by_split: dict[str, list[str]] = {}
    others = {value for name, value in entry.items() if name != "score"}
    for name, value in entry.items():
        if name not in ("step", "lr") and not (name == "score" and value in others):
            split, _, number = name.partition("_") if name.startswith(("train_", "validation_")) else ("", "", name)
            by_split.setdefault(split, []).append(f"{number.replace('_', ' ')} {value:.4g}")
    return "; ".join(f"{split} {', '.join(numbers)}".strip() for split, numbers in by_split.items())


def validation_at(folder: Path, step: int) -> dict[str, float]:
    """Numbers of the validation split that the run in a folder recorded at a step; empty where it recorded none."""
    path = folder / METRICS
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("step") == step:
            named = {name: entry[name] for name in entry if name.startswith("validation_") and NAME.fullmatch(name)}
            return {name: float(value) for name, value in named.items() if isinstance(value, int | float)}
    return {}


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry) + "\n"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
