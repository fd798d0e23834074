"""Gathers INRs of finished stores in a new one: `merge` of several stores, `subset` of one.

Weights are copied to the bit, with their qualities, labels, splits and signals. The new store records where every INR
came from (`StoreInfo.gathered`) and, as what decides the bits of a fit is not in every gathered store, whether they can
be fitted again.

Shape letters: N signals, S seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inrzoo.errors import InrzooError
from inrzoo.gather.agreement import require_one_setting, shared_axis
from inrzoo.gather.parts import Gathering, Part
from inrzoo.gather.selection import Selection
from inrzoo.gather.writing import OnBlock, write
from inrzoo.store import Store, open_store

__all__ = ["OnBlock", "Selection", "merge", "subset"]


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
    selection: Selection,
    *,
    overwrite: bool = False,
    on_block: OnBlock = lambda done, total: None,
) -> Store:
    """Make a store of some INRs of another.

    A signal without a chosen INR is left out; other INRs of a signal that fall below `min_psnr` are pending.

    Args:
        store: path or URL.
        selection: the chosen INRs; signals keep the order of the store.
        out, overwrite, on_block: as in `merge`.

    Returns:
        The new store.

    Raises:
        InrzooError: what is asked for does not exist, and the message names what does; no INR is left; the store is
            unfinished; or `out` exists.
    """
    part = selection.of(_finished(store))
    return write(Gathering((part,), axis=0, selection=selection.words()), out, overwrite, on_block)


def _finished(path: str | Path) -> Store:
    store = open_store(path)
    if not (store.complete or store.partial):
        raise InrzooError(f"{store.location} is not finished; finish it with: inrzoo build {store.location}")
    return store
