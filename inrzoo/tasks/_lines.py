"""Measurements against a number that was varied, as lines with their intervals."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from inrzoo.store.files import write_atomically
from inrzoo.tasks import Measurement


def draw_lines(path: Path, lines: Mapping[str, Mapping[float, Measurement]], x_name: str, y_name: str) -> None:
    """Write a PNG.

    Args:
        path: of the picture; its folder is made.
        lines: name of a line -> what was measured at each x.
        x_name, y_name: what stands at the axes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, of in lines.items():
        means, intervals = [one.mean for one in of.values()], [one.interval for one in of.values()]
        axes.errorbar(list(of), means, yerr=intervals, label=name, marker="o", markersize=3, capsize=3)
    axes.set(xlabel=x_name, ylabel=y_name, xticks=sorted({x for of in lines.values() for x in of}))
    axes.grid(alpha=0.3)
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, picture.getvalue())
