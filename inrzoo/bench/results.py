"""Rows of a benchmark, as a table for people and as files."""

import io
import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from inrzoo.bench import machine
from inrzoo.bench.limits import Limits
from inrzoo.bench.measure import Samples
from inrzoo.display import MAX_COLUMNS, folded
from inrzoo.errors import InrzooError

NOTES = (
    "of limit: share of what as many cores as the method uses could do at best, with the widest registers they have; "
    "products and sines one after the other, every sine computed.",
    "others: cores' worth of CPU time that other processes took during the samples.",
)


def row(one: Samples, samples: Sequence[Samples], limits: Limits, cores: int) -> dict[str, Any]:
    """Return the row of a method on a workload.

    Args:
        samples: all of the run, from which those of the baselines are taken for the ratios.
        cores: number of cores of the machine.
    """
    used = 1 if one.method.one_core else cores
    rate, others = one.median, [share for share in one.others if share is not None]
    return {
        "workload": one.workload.name,
        "method": one.method.name,
        "what": one.method.what,
        "cores": used,
        "inr_steps_per_s": rate,
        "lowest": min(one.rates),
        "highest": max(one.rates),
        "rounds": len(one.rates),
        "ratios": {
            other.method.name: rate / other.median
            for other in samples
            if other.workload == one.workload and other.method.baseline
        },
        "fraction_of_limit": rate / limits.inr_steps_per_s(one.workload, used),
        "others_cores": statistics.median(others) if others else None,
    }


def as_text(results: dict[str, Any]) -> str:
    """A table for each workload, the limits above and what to know below."""
    out = io.StringIO()
    console = Console(file=out, width=MAX_COLUMNS, highlight=False)
    console.print(folded(machine.in_a_line(results["machine"])), soft_wrap=True)
    for line in limit_lines(results):
        console.print(folded(line), soft_wrap=True)
    for name, workload in results["workloads"].items():
        console.print(f"\n{name}  {_title(workload)}", soft_wrap=True)
        table = Table(box=None, pad_edge=False)
        header, *cells = _table(results, name)
        for column in header:
            table.add_column(column, justify="left" if column == "method" else "right")
        for row_cells in cells:
            table.add_row(*row_cells)
        console.print(table)
    console.print("\n" + folded("\n".join(_below(results))), soft_wrap=True)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def as_markdown(results: dict[str, Any], command: str) -> str:
    """The same for `benchmarks/results`."""
    settings = results["settings"]
    lines = [
        f"# Fitting speed, {results['date']}",
        "",
        machine.in_a_line(results["machine"]),
        "",
        f"`{command}`: median of {settings['rounds']} interleaved rounds, samples of at least {settings['seconds']} s, "
        f"compiling excluded; {settings['duration_s']:.0f} s in all.",
        "",
        *(f"- {line}" for line in limit_lines(results)),
    ]
    for name, workload in results["workloads"].items():
        header, *cells = ("| " + " | ".join(row_cells) + " |" for row_cells in _table(results, name))
        columns = header.count("|") - 1
        lines += ["", f"## {name}: {_title(workload)}", "", header, "|---|" + "---:|" * (columns - 1), *cells]
    rounds = settings["rounds"]
    what = {
        one["method"]: one["what"] + (f" ({one['rounds']} rounds)" if one["rounds"] < rounds else "")
        for one in results["rows"]
    }
    lines += ["", *(f"- `{name}`: {text}." for name, text in what.items())]
    return "\n".join([*lines, "", *(f"- {line}" for line in _below(results))]) + "\n"


def limit_lines(results: dict[str, Any]) -> list[str]:
    """The measured peaks, each on one thread and on all cores."""
    peaks = results["limits"]
    return [
        f"{title}: " + ", ".join(f"{name} {_two(rates)}" for name, rates in peaks[key].items()) + f" {unit}"
        for key, title, unit in (
            ("flops", "float32 products, 1 thread / all cores", "GFLOP/s"),
            ("sincos", "sine and cosine, 1 thread / all cores", "billion pairs/s"),
        )
    ]


def write(results: dict[str, Any], path: Path, command: str) -> None:
    """Write `.json` or `.md`, whole or not at all.

    Raises:
        InrzooError: another suffix, or a folder that cannot be written to.
    """
    check_path(path)
    text = json.dumps(results, indent=2) + "\n" if path.suffix == ".json" else as_markdown(results, command)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise InrzooError(f"cannot write {path}: {os.strerror(error.errno or 0)}") from None


def check_path(path: Path) -> None:
    """Say before minutes are spent that results could not be written.

    Raises:
        InrzooError: as `write`.
    """
    if path.suffix not in (".json", ".md"):
        raise InrzooError(f"--out {path} is not allowed; expected a name that ends in .json or .md")
    if not path.absolute().parent.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise InrzooError(f"--out {path}: {path.absolute().parent} is no folder that can be written to")


def _table(results: dict[str, Any], workload: str) -> list[tuple[str, ...]]:
    """Return the header and the rows of a workload; there is a column of ratios for each baseline."""
    baselines = _baselines(results)
    ratios = (f"x {name}" for name in baselines)
    table: list[tuple[str, ...]] = [("method", "INR-steps/s", "lowest to highest", *ratios, "of limit", "others")]
    for one in results["rows"]:
        if one["workload"] == workload:
            ratios = ("" if (x := one["ratios"].get(name)) is None else f"{x:.{int(x < 1) + 1}f}" for name in baselines)
            table.append(
                (
                    one["method"],
                    f"{one['inr_steps_per_s']:,.0f}",
                    f"{one['lowest']:,.0f} to {one['highest']:,.0f}",
                    *ratios,
                    f"{one['fraction_of_limit']:.0%}",
                    "" if one["others_cores"] is None else f"{one['others_cores']:.2f}",
                )
            )
    return table


def _baselines(results: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for one in results["rows"] for name in one["ratios"]))


def _title(workload: dict[str, Any]) -> str:
    return (
        f"{workload['title']}: {workload['flops'] / 1e6:.2f} MFLOP and {workload['sincos']:,} sincos a step, limit "
        f"{workload['limit']:,.0f} INR-steps/s"
    )


def _below(results: dict[str, Any]) -> list[str]:
    missing = [f"not measured: {name}: {reason}" for name, reason in results["not_measured"].items()]
    ratios = [f"x {name}: times as fast as `{name}`." for name in _baselines(results)]
    return [*ratios, *NOTES, *results["notes"], *missing, *(f"warning: {line}" for line in results["warnings"])]


def _two(rates: dict[int, float]) -> str:
    return " / ".join(f"{rate / 1e9:,.{2 if rate < 1e10 else 1}f}" for rate in rates.values())
