"""Draws a picture of a store: signals beside what their INRs say, and a histogram of quality. One file a kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from inrzoo.errors import InrzooError
from inrzoo.preview import fields, images, shapes, sounds, views
from inrzoo.rendering.kinds import Kind, kind_of
from inrzoo.store import Store

MAX_DRAWN = 64
"""Maximum number of INRs in one picture; each is a column of over 100 pixels."""
DRAWINGS = {
    "image": images,
    "sound": sounds,
    "field": fields,
    "voxels": shapes,
    "shape": shapes,
    "views": views,
}
"""The module that draws each kind of signals: its function `draw` makes a page, its `CAPTION` says what is on it."""


def preview(store: Store, out: Path, num_signals: int = 10, seed: int = 0, step: int = -1) -> int:
    """Draw INRs spread evenly over the store into a PNG.

    Args:
        store: a complete or unfinished store; without its signals the INRs are drawn alone.
        out: file to write.
        num_signals: number of columns, limited by `MAX_DRAWN`.
        seed, step: number of the fit and index of the view.

    Returns:
        The number of INRs in the picture.

    Raises:
        InrzooError: there is no picture for signals of this kind, or no INR of this seed is finished.
        MissingPackageError: a package that makes surfaces is not installed.
    """
    kind = kind_of(store)
    if kind not in DRAWINGS:
        raise InrzooError(
            f"preview draws grids, and distances or occupancies at points in 3 dimensions; the signals of "
            f"{store.location} are {store.channels} values at points in {store.info.num_axes} dimensions"
        )
    if num_signals < 1 or not 0 <= seed < store.num_seeds:
        allowed = f"1 or more INRs of seed 0 to {store.num_seeds - 1}"
        raise InrzooError(f"--count {num_signals} --seed {seed} is not allowed; expected {allowed}")
    # INRs imported without images have no PSNR; diverged ones may have no finite values.
    done = np.flatnonzero(store.usable[:, seed] | np.isfinite(store.psnr[:, seed, step]))
    if not done.size:
        raise InrzooError(f"no finished INR of seed {seed} in {store.path} yet; continue its build")
    count = min(num_signals, done.size, MAX_DRAWN)
    chosen = done[(np.arange(count) * done.size) // count]
    DRAWINGS[kind].draw(store, chosen, seed, step).save(store, step, out)
    return len(chosen)


def caption(store: Store) -> str | None:
    """One line on what the picture of a store shows; None if there is no picture for signals of its kind."""
    kind: Kind = kind_of(store)
    return str(DRAWINGS[kind].CAPTION) if kind in DRAWINGS else None
