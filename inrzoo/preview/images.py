"""Draws images: originals, reconstructions and renderings on a finer grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrzoo.preview.page import Page, intensities
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
    page.draw_pictures(store, rows, chosen, seed, step)
    return page


def _pixels(store: Store, values_NKC: NDArray[np.float32], finer: int) -> NDArray[np.float64]:
    """Intensities on a grid, (N, H, W, C)."""
    shape = [size * finer for size in store.info.grid]
    return intensities(store, values_NKC).reshape(len(values_NKC), *shape, -1)
