"""Draws radiance fields: a fitted and a held-out view of each signal, and what its INR shows there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrzoo.preview.page import Page, intensities
from inrzoo.rendering.views import view_of
from inrzoo.store import Store

CAPTION = "Held-out views, the INRs' from the same places, one from above, and a histogram of the held-out PSNR"
FINER = 2
"""Factor of the rows and columns of the view from above."""


def draw(store: Store, chosen: NDArray[np.int64], seed: int, step: int) -> Page:
    """Draw the signals `chosen`, one a column."""
    rows: list[tuple[str, list[NDArray[np.float64]]]] = []
    if store.has_signals:
        held_out = store.info.arrays["held_out_poses"].shape[0]
        # The first and the middle one: neighbours among the views often are neighbours in space.
        for camera in sorted({0, held_out // 2}):
            seen = [_signal(store, int(signal), camera) for signal in chosen]
            shown = [intensities(store, view_of(store, int(signal), seed, step, camera)) for signal in chosen]
            rows += [(f"held-out view {camera}", seen), ("INR", shown)]
    above = [intensities(store, view_of(store, int(signal), seed, step, finer=FINER)) for signal in chosen]
    rows.append(("INR, from above", above))
    page = Page(len(rows), len(chosen), width=1.3, heights=(1.35,) * len(rows))
    page.draw_pictures(store, rows, chosen, seed, step)
    return page


def _signal(store: Store, signal: int, camera: int) -> NDArray[np.float64]:
    """Pixels of a held-out view, (rows, columns, C)."""
    targets = store.targets(np.array([signal]))
    assert targets.held_out is not None, "signals of this kind have held-out views"
    size = store.info.grid[1:]
    return intensities(store, targets.held_out[1].reshape(-1, *size, store.channels)[camera])
