"""`inrzoo.diff`, `merge`, `subset`, `convert`: stores compared, joined, cut and made smaller, as their commands do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrzoo.keywords import keywords_checked
from inrzoo.store import Store, open_store

if TYPE_CHECKING:
    from inrzoo.compare import StoreDifferences


def diff(a: str | Path, b: str | Path) -> StoreDifferences:
    """Compare two stores, as `inrzoo diff` does.

    Args:
        a, b: folders or URLs.

    Returns:
        `same`, whether nothing differs; `lines`, the differences by part of the store; `weights` and `psnr`, by how
        much the INRs in both differ.

    Raises:
        InrzooError: a store is absent or damaged.

    Example:
        >>> found = inrzoo.diff("digits.zarr", "digits.zarr")
        >>> found.same, found.weights.bit_equal == found.weights.compared
        (True, True)
    """
    stores = open_store(a), open_store(b)
    from inrzoo import compare

    return compare.compare(*stores)


@keywords_checked
def merge(stores: Sequence[str | Path], *, out: str | Path, overwrite: bool = False) -> Store:
    """Make one store of several, as `inrzoo merge` does: of other signals each, or of more seeds of the same ones.

    Args:
        stores: two or more folders or URLs, whose INRs were fitted with equal settings.
        out: the new store, a folder, which is made whole or not at all.
        overwrite: whether to replace the store at `out`.

    Raises:
        InrzooError: the stores differ in settings, which the message names; they share some signals but not all; they
            hold the same INRs; one is unfinished; or `out` exists.

    Example:
        >>> low = inrzoo.subset("digits.zarr", out="low.zarr", signals=range(8))
        >>> high = inrzoo.subset("digits.zarr", out="high.zarr", signals=range(8, 20))
        >>> inrzoo.merge(["low.zarr", "high.zarr"], out="both.zarr").weights.shape
        (20, 2, 1, 105)
    """
    opened = [open_store(store).location for store in stores]  # fails before torch is imported
    from inrzoo import gather

    return gather.merge(opened, Path(out), overwrite=overwrite)


@keywords_checked
def subset(
    store: str | Path,
    *,
    out: str | Path,
    split: str | None = None,
    labels: Mapping[str, str | Sequence[str]] | None = None,
    min_psnr: float | None = None,
    signals: slice | Sequence[int] | NDArray[np.int64] | None = None,
    seeds: int | Sequence[int] | None = None,
    views: int | Sequence[int] | None = None,
    overwrite: bool = False,
) -> Store:
    """Make a store of some INRs of another, as `inrzoo subset` does.

    Args:
        store: folder or URL.
        out: the new store, a folder, which is made whole or not at all.
        split: name of a split.
        labels: names of labels by column: `{"digit": ["3", "5"]}`.
        min_psnr: minimum PSNR in dB at the last chosen snapshot. Other INRs of a signal that stays are pending.
        signals: numbers of signals, or a slice of them.
        seeds: one or several numbers of the fits of each signal.
        views: one or several step counts of snapshots.
        overwrite: whether to replace the store at `out`.

    Raises:
        InrzooError: what is asked for does not exist, and the message names what does; no INR is left; the store is
            unfinished; or `out` exists.

    Example:
        >>> inrzoo.subset("digits.zarr", out="few.zarr", signals=slice(0, 5), seeds=1).weights.shape
        (5, 1, 1, 105)
    """
    location = open_store(store).location  # fails before torch is imported
    from inrzoo import gather

    selection = gather.Selection(
        split=split, labels=labels, min_psnr=min_psnr, signals=signals, seeds=seeds, views=views
    )
    return gather.subset(location, Path(out), selection, overwrite=overwrite)


@keywords_checked
def convert(
    store: str | Path,
    *,
    out: str | Path,
    weights: str,
    compress: bool = False,
    source: str | Path | None = None,
    overwrite: bool = False,
) -> Store:
    """Make a store whose weights take less room, as `inrzoo convert` does; whoever reads it gets float32 as before.

    Args:
        store: folder or URL of a finished store.
        out: the new store, a folder, which is made whole or not at all.
        weights: `float32`, or rounded to `float16`, `bfloat16`, or `int16` or `int8` with a scale for each INR and
            tensor. The PSNR that rounding cost is measured and recorded.
        compress: whether to compress the weights, without loss.
        source: local files of the signals, for a store that does not hold them.
        overwrite: whether to replace the store at `out`.

    Raises:
        InrzooError: the type is unknown, or the weights were rounded to another one before; the store is unfinished or
            damaged; its signals are not available; a weight is too large for the type; or `out` exists.

    Example:
        >>> half = inrzoo.convert("digits.zarr", out="half.zarr", weights="float16")
        >>> half.weights.shape, float(abs(half.measures["psnr_lost"]).max()) < 0.01
        ((48, 2, 1, 105), True)
    """
    location = open_store(store).location  # fails before torch is imported
    from inrzoo.conversion import convert as convert_store

    local = None if source is None else Path(source)
    return convert_store(location, Path(out), weights=weights, compress=compress, source=local, overwrite=overwrite)
