"""Gathers INRs of finished stores in a new one: `merge` of several stores, `subset` of one.

Weights are copied to the bit, with their qualities, labels, splits and signals. The new store records where every INR
came from (`StoreInfo.gathered`) and, as what decides the bits of a fit is not in every gathered store, whether they can
be fitted again.

Shape letters: N signals, S seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.gather.agreement import require_one_setting, shared_axis
from inrzoo.gather.parts import Gathering, Part
from inrzoo.gather.selection import as_words, selected
from inrzoo.gather.writing import OnBlock, write
from inrzoo.store import Store, open_store

__all__ = ["OnBlock", "merge", "subset"]


def merge(
    stores: Sequence[str | Path],
    out: Path,
    *,
    overwrite: bool = False,
    on_block: OnBlock = lambda done, total: None,
) -> Store:
    """Make one store of several: of other signals each, or of the same signals with more seeds.

    Args:
        stores: two or more paths or URLs.
        out: the new store, a folder. It is made whole or not at all.
        overwrite: whether to replace the store at `out`.
        on_block: called with the numbers of blocks written and of all blocks.

    Returns:
        The new store.

    Raises:
        InrzooError: the stores differ in settings, which the message names; they share some signals but not all; they
            hold the same fits; one is unfinished; or `out` exists.
    """
    opened = [_finished(path) for path in stores]
    if len(opened) < 2:
        raise InrzooError(f"merge needs two stores or more, and {len(opened)} was named")
    require_one_setting(opened)
    axis, rows = shared_axis(opened)
    parts = [Part.of(store, signals=signals_N) for store, signals_N in zip(opened, rows, strict=True)]
    return write(Gathering(tuple(parts), axis), out, overwrite, on_block)


def subset(
    store: str | Path,
    out: Path,
    *,
    split: str | None = None,
    labels: Mapping[str, str | Sequence[str]] | None = None,
    min_psnr: float | None = None,
    signals: slice | Sequence[int] | NDArray[np.int64] | None = None,
    seeds: int | Sequence[int] | None = None,
    views: int | Sequence[int] | None = None,
    overwrite: bool = False,
    on_block: OnBlock = lambda done, total: None,
) -> Store:
    """Make a store of some INRs of another.

    A signal without a chosen INR is left out; other INRs of a signal that fall below `min_psnr` are pending.

    Args:
        store: path or URL.
        out, overwrite, on_block: as in `merge`.
        split: name of a split.
        labels: names of labels by column: `{"digit": ["3", "5"]}`.
        min_psnr: minimum PSNR in dB at the last chosen snapshot.
        signals: numbers of signals, or a slice of them; they keep the order of the store.
        seeds: one or several numbers of the fits of each signal.
        views: one or several step counts of snapshots.

    Returns:
        The new store.

    Raises:
        InrzooError: what is asked for does not exist, and the message names what does; no INR is left; the store is
            unfinished; or `out` exists.
    """
    part = selected(
        _finished(store), split=split, labels=labels or {}, min_psnr=min_psnr, signals=signals, seeds=seeds, views=views
    )
    asked: dict[str, object] = {"split": split, "label": labels, "min_psnr": min_psnr, "signals": signals}
    asked |= {"seeds": seeds, "views": views}
    words = {name: as_words(value) for name, value in asked.items() if value is not None}
    return write(Gathering((part,), axis=0, selection=words), out, overwrite, on_block)


def _finished(path: str | Path) -> Store:
    store = open_store(path)
    if not (store.complete or store.partial):
        raise InrzooError(f"{store.location} is not finished; finish it with: inrzoo build {store.location}")
    return store
