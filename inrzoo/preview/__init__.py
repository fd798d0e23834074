"""Draws a picture of a store: signals beside what their INRs say, and a histogram of quality. One file a kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inrzoo.display import listed
from inrzoo.errors import InrzooError
from inrzoo.nearest import among
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


def preview(
    store: Store,
    out: Path,
    num_signals: int = 10,
    seed: int = 0,
    step: int = -1,
    *,
    signals: Sequence[int] = (),
    split: str | None = None,
) -> int:
    """Draw INRs spread evenly over the store, or those of some signals, into a PNG.

    Args:
        store: a complete or unfinished store; without its signals the INRs are drawn alone.
        out: file to write.
        num_signals: number of columns, limited by `MAX_DRAWN`.
        seed, step: number of the fit and index of the view.
        signals: numbers of the signals to draw, in this order.
        split: name of the split to draw from.

    Returns:
        The number of INRs in the picture.

    Raises:
        InrzooError: there is no picture for signals of this kind, no INR of this seed is finished, or there is no such
            signal, seed, view or split.
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
    steps = store.snapshots
    if not -len(steps) <= step < len(steps):
        views = f"0 to {len(steps) - 1}, of {listed(map(str, steps))} steps; -1 is the last"
        raise InrzooError(f"--view {step} is not allowed; expected {views}")
    # INRs imported without images have no PSNR; diverged ones may have no finite values.
    finished = store.usable[:, seed] | np.isfinite(store.psnr[:, seed, step])
    if split is not None:
        if split not in store.info.split_names:
            raise InrzooError(f"--split {split} is not allowed{among(split, store.info.split_names)}")
        finished &= store.split == store.info.split_names.index(split)
    done = np.flatnonzero(finished)
    where = f" of split {split}" if split is not None else ""
    if not done.size:
        raise InrzooError(f"no finished INR of seed {seed}{where} in {store.path} yet; continue its build")
    if signals:
        absent = [signal for signal in signals if signal not in done]
        if absent or len(signals) > MAX_DRAWN:
            allowed = f"at most {MAX_DRAWN} of the signals 0 to {store.num_signals - 1} whose INR is finished{where}"
            raise InrzooError(f"--signal {listed(map(str, absent or signals))} is not allowed; expected {allowed}")
        chosen = np.array(signals, dtype=np.int64)
    else:
        count = min(num_signals, done.size, MAX_DRAWN)
        chosen = done[(np.arange(count) * done.size) // count]
    DRAWINGS[kind].draw(store, chosen, seed, step).save(store, step, out)
    return len(chosen)


def caption(store: Store) -> str | None:
    """One line on what the picture of a store shows; None if there is no picture for signals of its kind."""
    kind: Kind = kind_of(store)
    return str(DRAWINGS[kind].CAPTION) if kind in DRAWINGS else None
