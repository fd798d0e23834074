"""Figures as PNG files, and measurements as lines with their intervals."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from inrzoo.extras import needed
from inrzoo.store.files import write_atomically
from inrzoo.tasks.measurements import Measurement

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that many inches.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """
    with needed("train", "drawing a figure"):
        from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: Path, dpi: int = 120) -> None:
    """Write a figure as a PNG file, whole or not at all, and make its folder."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=dpi)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())


def draw_lines(path: Path, lines: Mapping[str, Mapping[float, Measurement]], x_name: str, y_name: str) -> None:
    """Draw measurements against a number that was varied.

    Args:
        path: of the PNG file.
        lines: name of a line -> the measurement at each x.
        x_name, y_name: labels of the axes.
    """
    figure = new_figure(5, 3.5)
    axes = figure.subplots()
    for name, measurements in lines.items():
        means = [measurement.mean for measurement in measurements.values()]
        intervals = [measurement.interval for measurement in measurements.values()]
        axes.errorbar(list(measurements), means, yerr=intervals, label=name, marker="o", markersize=3, capsize=3)
    axes.set(xlabel=x_name, ylabel=y_name, xticks=sorted({x for measurements in lines.values() for x in measurements}))
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, path)
