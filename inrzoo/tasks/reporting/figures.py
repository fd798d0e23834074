"""Figures as PNG files: measurements as lines with their intervals, and signals."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from inrzoo.extras import needed
from inrzoo.store.files import write_atomically
from inrzoo.tasks.measurements import Measurement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_TICKS = 15
"""Numbers below an axis that can be read beside each other."""


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
    axes.set(xlabel=x_name, ylabel=y_name)
    ticks = sorted({x for measurements in lines.values() for x in measurements})
    if len(ticks) <= MAX_TICKS:
        axes.set_xticks(ticks)
    axes.grid(alpha=0.3)
    axes.legend()
    save_figure(figure, path)


def draw_signals(
    rows: list[list[tuple[str, Tensor]]], sizes: tuple[int, ...], value_range: tuple[float, float] | None, path: Path
) -> Path:
    """Draw rows of signals with titles, curves or images.

    Args:
        rows: title and values (K, C) of each signal.
        sizes: their grid of one or two axes, slowest axis first.
        value_range: values of black and white; None to scale each signal by itself.
        path: of the PNG file.

    Returns:
        `path`.
    """
    columns = max(map(len, rows))
    figure = new_figure(2 * columns, 2.1 * len(rows))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    low, high = value_range or (None, None)
    for row, signals_shown in enumerate(rows):
        for column, (title, values_KC) in enumerate(signals_shown):
            panel: Any = axes[row][column]
            panel.set_title(title, fontsize=6)
            shown = values_KC.reshape(*sizes, -1).cpu().numpy()
            if len(sizes) == 1:
                panel.plot(shown)
            elif shown.shape[2] == 3 and low is not None and high is not None:
                panel.imshow(((shown - low) / (high - low)).clip(0, 1))
            else:
                panel.imshow(shown[..., 0], cmap="gray", vmin=low, vmax=high)
            if len(sizes) == 2:
                panel.axis("off")
    save_figure(figure, path)
    return path
