"""What all pictures of stores share: the page, the quality below each column, the histogram, the file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.display import printable
from inrzoo.extras import needed
from inrzoo.store import Store
from inrzoo.store.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_NAME = 16
"""Maximum number of characters of a class's name below a picture."""
HEADLINES = ("snr", "iou", "mae", "held_out_psnr")
"""Measures of which a picture shows the first one that a store has; else it shows the PSNR."""


class Page:
    """A figure: a table of panels, one column an INR, above a histogram of their quality.

    Attributes:
        figure: the figure of matplotlib.
        panels: its axes, (rows, columns).
        histogram: the part below them.
    """

    def __init__(self, rows: int, columns: int, width: float = 1.1, heights: tuple[float, ...] = ()) -> None:
        """Make a page.

        Args:
            width: inches of a column.
            heights: inches of each row; 1.15 if empty.
        """
        with needed("build", "drawing a picture of a store"):
            import matplotlib
            from matplotlib import pyplot

        matplotlib.use("Agg")

        heights = heights or (1.15,) * rows
        total = sum(heights)
        self.figure: Figure = pyplot.figure(
            figsize=(width * max(columns, 6 * 1.1 / width) + 1, total + 2.6), layout="constrained"
        )
        upper, self.histogram = self.figure.subfigures(2, 1, height_ratios=[1.2 * total / 1.15, 2.2])
        ratios = {} if len(set(heights)) == 1 else {"height_ratios": heights}
        self.panels: NDArray[Any] = upper.subplots(rows, columns, squeeze=False, **ratios)

    def draw_pictures(
        self,
        store: Store,
        rows: Sequence[tuple[str, Iterable[NDArray[np.float64]]]],
        chosen: NDArray[np.int64],
        seed: int,
        step: int,
    ) -> None:
        """Draw rows of pictures of intensities, (H, W, 1 or 3) each, their titles, and lines below the last."""
        for (title, pictures), row in zip(rows, self.panels, strict=True):
            for picture, axis in zip(pictures, row, strict=True):
                axis.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
            label(row, title)
        self.describe(store, chosen, seed, step)

    def describe(self, store: Store, chosen: NDArray[np.int64], seed: int, step: int, first: str = "") -> None:
        """Write below each column the line `first`, number and class of the signal, and the quality of its INR."""
        for signal, axis in zip(chosen, self.panels[-1], strict=True):
            lines = f"{first}{signal_line(store, int(signal))}\n{quality(store, signal, seed, step)}"
            axis.set_xlabel(lines, fontsize=6, parse_math=False)  # names may contain $

    def save(self, store: Store, step: int, out: Path) -> None:
        """Draw the histogram and the title, and write the picture."""
        from matplotlib import pyplot

        draw_histogram(store, step, self.histogram.subplots())
        self.figure.suptitle(f"{store.info.dataset}: {store.info.manifest.title}", fontsize=9, parse_math=False)
        out.parent.mkdir(parents=True, exist_ok=True)
        # Without the library's version in the metadata, equal stores have equal pictures, byte for byte.
        picture = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # of scripts that the font lacks, a box is drawn
            self.figure.savefig(picture, format="png", dpi=130, metadata={"Software": None})
        pyplot.close(self.figure)
        write_atomically(out, picture.getvalue())


def intensities(store: Store, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Map values to intensities in [0, 1] and clip them."""
    low, high = store.value_range
    return np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)


def headline(store: Store) -> str | None:
    """Name of the measure by which a picture says the quality of INRs; None for the PSNR."""
    return next((name for name in HEADLINES if name in store.measures), None)


def signal_line(store: Store, signal: int) -> str:
    """Number of a signal and the name of its class, if it has one."""
    column = next(iter(store.labels), None)
    names, code = ([], -1) if column is None else (store.info.label_names[column], int(store.labels[column][signal]))
    name = printable(names[code]) if 0 <= code < len(names) else ""
    short = name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"
    return f"signal {signal}: {short}" if short else f"signal {signal}"


def quality(store: Store, signal: int, seed: int, step: int) -> str:
    """Two lines on the quality of an INR, the second empty for INRs without a share of energy above Nyquist."""
    name, above = headline(store), store.out_of_band[signal, seed, step]
    value = float((store.psnr if name is None else store.measures[name])[signal, seed, step])
    unit = f" {store.info.manifest.values.unit}".rstrip()
    text = {
        None: f"{value:.1f} dB",
        "snr": f"SNR {value:.1f} dB",
        "iou": f"IoU {value:.3f}",
        "mae": f"error {value:.3g}{unit}",
        "held_out_psnr": f"{value:.1f} dB held out",
    }[name]
    first = text if np.isfinite(value) else "PSNR unknown"
    if "rmse" in store.measures:
        first += f", RMSE {store.measures['rmse'][signal, seed, step]:.3g}{unit}"
    return f"{first}\n{above:.1%} above Nyquist" if np.isfinite(above) else first


def draw_histogram(store: Store, step: int, axis: Any) -> None:
    """Draw the histogram of the quality; if it is unknown (an import without images), of the energy above Nyquist."""
    name = headline(store)
    values = (store.psnr if name is None else store.measures[name])[:, :, step]
    share = store.out_of_band[:, :, step]
    values, share = values[np.isfinite(values)], share[np.isfinite(share)]
    above = f"energy above Nyquist: mean {share.mean():.2%}" if share.size else "energy above Nyquist unknown"
    if values.size:
        axis.hist(values, bins=60)
        axis.axvline(values.mean(), color="black", linewidth=1)
        unit = f" in {store.info.manifest.values.unit}" if store.info.manifest.values.unit else ""
        held_out = "views" if "poses" in store.info.arrays else "points"
        where = f" at held-out {held_out}" if store.info.arrays else ""
        titles = {
            None: "PSNR in dB",
            "snr": "SNR in dB",
            "iou": f"intersection over union{where}",
            "mae": f"mean absolute error{unit}{where}",
            "held_out_psnr": f"PSNR in dB{where}",
        }
        places = 4 if name in ("iou", "mae") else 2
        middle = f"mean {values.mean():.{places}f}, median {np.median(values):.{places}f}"
        line = f"{titles[name]} of {values.size} INRs: {middle}"
    else:
        axis.hist(share, bins=60)
        line = "share of energy above Nyquist; PSNR unknown, as the signals are unknown"
    axis.set_xlabel(line if store.info.arrays else f"{line}; {above}", fontsize=8)
    axis.set_ylabel("INRs", fontsize=8)


def label(row: NDArray[Any], title: str) -> None:
    """Write the title of a row of panels, and take their ticks away."""
    row[0].set_ylabel(title, fontsize=8)
    for axis in row:
        axis.set_xticks([])
        axis.set_yticks([])
