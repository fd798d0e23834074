"""Draws images: originals, reconstructions and renderings on a finer grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrzoo.preview.page import Page, label, quality
from inrzoo.store import Store

FINER = 4
"""Factor of the finer grid."""
CAPTION = "Originals, reconstructions, a finer grid, and the PSNR histogram"


def draw(store: Store, chosen: NDArray[np.int64], seed: int, step: int) -> Page:
    """Draw the signals `chosen`, one a column."""
    rendered = store.render(chosen, seed, step).numpy()
    finer = store.render(chosen, seed, step, coords=store.coords(FINER)).numpy()
    rows = [("reconstruction", _pixels(store, rendered, 1)), (f"{FINER}× finer grid", _pixels(store, finer, FINER))]
    if store.has_signals:
        rows.insert(0, ("original", _pixels(store, store.signal_table(chosen).values(), 1)))
    page = Page(len(rows), len(chosen))
    for (title, pictures), row in zip(rows, page.panels, strict=True):
        for picture, axis in zip(pictures, row, strict=True):
            axis.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
        label(row, title)
    for signal, axis in zip(chosen, page.panels[-1], strict=True):
        axis.set_xlabel(quality(store, signal, seed, step), fontsize=6)
    return page


def _pixels(store: Store, values_NKC: NDArray[np.float32], finer: int) -> NDArray[np.float64]:
    """Map values to intensities in [0, 1] and clip them."""
    low, high = store.value_range
    shape = [size * finer for size in store.info.grid]
    scaled = (values_NKC.astype(np.float64) - low) / (high - low)
    return np.clip(scaled, 0, 1).reshape(len(values_NKC), *shape, -1)
