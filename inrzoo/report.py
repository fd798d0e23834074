"""The texts that commands print about a build, a plan and a verification."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from inrzoo import summary
from inrzoo.builder import Report
from inrzoo.builder.estimate import FORMULA, Plan
from inrzoo.display import bars_are_hidden, folded, table_text
from inrzoo.refit import Refits
from inrzoo.store import Store
from inrzoo.store.files import file_sizes
from inrzoo.trials import Comparison
from inrzoo.tune import Tuned
from inrzoo.verify import Findings

Result = TypeVar("Result")

MAX_CANDIDATES = 8
"""Rows that `inrzoo tune` prints besides the dataset's own settings."""


def of_build(report: Report) -> str:
    """Return the last lines of a build."""
    fitting = report.seconds - report.preparation_seconds
    new = f" ({report.compile_seconds:.1f} s to compile the engine)"
    compiled = new if report.compile_seconds else ""
    rate = f", {report.fitted / fitting:.1f} INRs/s" if report.fitted else ""
    how = f"{report.fitted} fitted now, {report.workers} worker(s) {report.executor}{rate}"
    how = how if report.workers else "complete, nothing to do"
    lines = [
        f"store    {report.path} ({decimal(report.num_bytes)})",
        f"INRs     {report.num_inrs}, {how}",
        f"PSNR     mean {report.psnr_mean:.2f}, median {report.psnr_median:.2f}, 5 % quantile {report.psnr_low:.2f} dB",
        *(
            f"{name:<8} mean {_figure(of['mean'])}, median {_figure(of['median'])}, "
            f"5 and 95 % quantiles {_figure(of['low'])} and {_figure(of['high'])}"
            for name, of in report.measures.items()
            if of
        ),
        f"engine   {report.engine}",
        f"fits     {report.early_stops} early stops, {report.diverged} diverged",
        f"time     {report.seconds:.1f} s, {report.preparation_seconds:.1f} s of them before fits began{compiled}",
        f"picture  inrzoo preview {report.path}",
    ]
    return "\n".join(lines)


def of_conversion(store: Store) -> str:
    """Return the last lines of a conversion: how large the weights are, and what rounding cost at the last snapshot."""
    kept = summary.stored_weights(store)
    packed = ", compressed" if kept["compression"] != "none" else ""
    lines = [
        f"store    {store.location} ({decimal(sum(file_sizes(store.path).values()))})",
        f"weights  {kept['dtype']}{packed}, {kept['bytes_per_inr']:,} bytes per INR; they are read as float32",
    ]
    lines += [f"quality  {name}: {figures}" for name, figures in summary.rounding_rows(store).items()]
    return "\n".join([*lines, f"info     inrzoo info {store.location}"])


def of_plan(planned: Plan, nodes: int) -> str:
    """Return the text of `inrzoo build --plan`, with times for 1 to `nodes` machines like this one."""
    speed, first = planned.speed, f"{planned.missing_inrs:,} of {planned.num_inrs:,} INRs"
    how = "complete fits" if speed.whole else "extrapolated from the time of a step, without early stops"
    counts = sorted({1, 2, 4, 8, 16, nodes} & {*range(1, nodes + 1)})
    lines = [
        f"store    {planned.out}, {'continued' if planned.continued else 'new'}; nothing is written by --plan",
        f"INRs     {first} to fit: {planned.num_signals:,} signals × {planned.num_seeds} seed(s) × "
        f"{len(planned.snapshots)} snapshot(s), {planned.num_params:,} parameters each",
        f"blocks   {planned.missing_blocks:,} of {planned.num_blocks:,} to fit, up to {planned.block_rows} INRs each",
        f"bytes    {planned.weight_bytes:,} of weights; store at most {decimal(planned.store_bytes)}, "
        f"disk needed while it is built at most {decimal(planned.disk_bytes)}",
        f"engine   {planned.engine} on {planned.device}",
        f"memory   {decimal(planned.worker_bytes)} for a worker (this process, which fitted a block, and the block)",
        f"speed    t_block {speed.block_seconds:.3g} s, t_read {speed.signal_seconds:.3g} s on one core, measured on "
        f"{speed.num_inrs:,} fits ({how})",
        f"formula  {FORMULA}, cores {planned.cores}",
        *(f"time     {_duration(planned.seconds(count)):>10} on {count} node(s) like this one" for count in counts),
    ]
    return "\n".join(lines)


def of_tuning(tuned: Tuned) -> str:
    """Return the table of `inrzoo tune`, then the lines of the best settings."""
    best, rows = tuned.ranked[0], [*tuned.ranked[:MAX_CANDIDATES], tuned.own]
    keys = list(dict.fromkeys(key for row in rows for key in row.settings))
    table = Table(box=None, pad_edge=False)
    for name in (*(key.split(".")[1] for key in keys), "mean steps", "99 % of INRs", f"at {tuned.target_psnr:g} dB"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        settings = [_cell(row.settings[key]) if key in row.settings else "own" for key in keys]
        table.add_row(*settings, f"{row.mean_steps:.1f}", f"{row.most_steps:.0f}", f"{row.reached:.1%}")
    ratio = f"{tuned.own.mean_steps / best.mean_steps:.1f} times fewer steps than the dataset's own settings"
    lines = [
        table_text(table, 200),
        f"{tuned.dataset}: {ratio}, on {best.num_inrs} training signals; {best.inrs_per_second:.0f} INRs/s",
        *([] if tuned.complete else ["the budget ended the search: a longer --budget may find better settings"]),
        "",
        tuned.toml(),
    ]
    return "\n".join(lines).rstrip()


def of_comparison(compared: Comparison) -> str:
    """Return the table of `inrzoo bench --target-psnr`."""
    table = Table(box=None, pad_edge=False)
    names = ("settings", "mean steps", "99 % of INRs", f"at {compared.target_psnr:g} dB", "INRs/s", "all signals")
    for name in names:
        table.add_column(name, justify="left" if name == "settings" else "right", no_wrap=True)
    for name, trial in compared.trials.items():
        whole = _duration(compared.num_signals / trial.inrs_per_second)
        steps = (f"{trial.mean_steps:.1f}", f"{trial.most_steps:.0f}", f"{trial.reached:.1%}")
        table.add_row(name, *steps, f"{trial.inrs_per_second:.1f}", whole)
    trial = next(iter(compared.trials.values()))
    head = f"{compared.dataset}: {trial.num_inrs} of {compared.num_signals:,} signals, {compared.threads} thread(s)"
    foot = "An INR that does not reach the PSNR counts twice its steps; its time is that of its own."
    return f"{head}\n{table_text(table, 200)}\n{foot}"


def of_tuning_as_json(tuned: Tuned) -> dict[str, Any]:
    """Return the result of `inrzoo tune` as JSON types."""
    return {**asdict(tuned), "toml": tuned.toml()}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{seconds:.2g} s"


def _figure(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def of_findings(path: str | Path, findings: Findings, refits: Refits | None, as_json: bool) -> str:
    """Return the text, or JSON, of `inrzoo verify`."""
    if as_json:
        content = {
            "path": str(path),
            "ok": not findings.problems,
            "problems": findings.problems,
            "bad_blocks": {str(seed): sorted(indices) for seed, indices in findings.bad_blocks.items()},
            "num_files": findings.num_files,
            "num_inrs": findings.num_inrs,
            "unchecked": findings.unchecked,
            "part": findings.part,
            "max_psnr_difference": findings.max_psnr_difference,
            "refits": None if refits is None else [asdict(refit) for refit in refits.refits],
            "refitted_elsewhere": None if refits is None else refits.elsewhere,
        }
        return json.dumps(content, indent=2)
    checked = (
        f"{findings.num_files} files and {findings.num_inrs} INRs checked, "
        f"largest PSNR difference {findings.max_psnr_difference:.2g} dB"
    )
    checked += (f"; {findings.unchecked}" if findings.unchecked else "") + _of_refits(refits)
    if not findings.problems:
        part = f" (a part: {findings.part})" if findings.part else ""
        return f"{path} is verified{part}: {checked}"
    hint = [f"repair with: inrzoo verify {path} --repair"] if findings.repairable else []
    return "\n".join([f"{path}: {len(findings.problems)} problem(s); {checked}", *findings.problems, *hint])


def _of_refits(refits: Refits | None) -> str:
    if refits is None:
        return ""
    equal = sum(refit.bit_equal for refit in refits.refits)
    line = f"{len(refits.refits)} INRs fitted again, {equal} equal to the bit"
    if not refits.elsewhere:
        return f"\n{line}, as they must be in the environment that fitted the store"
    largest = max(refit.difference for refit in refits.refits)
    return "\n" + folded(
        f"{line}, functions differ by at most {largest:.2g} of the value range (this is another environment: "
        f"{'; '.join(refits.elsewhere)}; twice the stored error is allowed)"
    )


def with_bar(description: str, work: Callable[[Callable[[int, int], None]], Result]) -> Result:
    """Run `work(tick)` under a progress bar with an ETA; `tick(done, total)` moves it."""
    return _with_columns(description, (BarColumn(), MofNCompleteColumn()), work)


def with_bytes_bar(description: str, work: Callable[[Callable[[int, int], None]], Result]) -> Result:
    """Run `work(tick)` under a progress bar that shows bytes, their rate and an ETA."""
    return _with_columns(description, (BarColumn(), DownloadColumn(), TransferSpeedColumn()), work)


def _with_columns(
    description: str, shown: tuple[ProgressColumn, ...], work: Callable[[Callable[[int, int], None]], Result]
) -> Result:
    columns = (TextColumn("{task.description}"), *shown, TextColumn("ETA"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=bars_are_hidden()) as bar:
        task = bar.add_task(description, total=None)
        return work(lambda done, total: bar.update(task, completed=done, total=total))


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_cell, value)) if value and isinstance(value[0], dict) else ", ".join(map(str, value))
    return f"{value:.2f}" if isinstance(value, float) and value >= 0.01 else str(value)
