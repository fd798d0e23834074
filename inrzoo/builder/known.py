"""INRs that a build does not fit, because the store that it grows from has them.

A store that gets more signals is built anew beside the old one (`inrzoo.builder.more_signals`), and a file in its build
folder names the old one. Workers copy what is there.

Shape letters: B INRs of a block, N signals, T snapshots, P parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo.store import Block, Location, Quality, Store, open_store
from inrzoo.store.blocks import BUILD_FOLDER, COLUMNS
from inrzoo.store.files import write_atomically

FILE = "grown_from"
"""File in the build folder of a store: the name of the store beside it from which it grows."""


@dataclass(frozen=True)
class Known:
    """The INRs of a block of a growing store.

    Attributes:
        new_B: whether an INR is still to be fitted.
        weights_BTP, quality: what the old store has of the others; for those to be fitted, of some other INR.
    """

    new_B: NDArray[np.bool_]
    weights_BTP: NDArray[np.float32]
    quality: Quality


def grow_from(store: Store, old: Path) -> None:
    """Record the store, beside the new one, from which the workers copy INRs."""
    (store.path / BUILD_FOLDER).mkdir(exist_ok=True)
    write_atomically(store.path / BUILD_FOLDER / FILE, old.name.encode(), store.path)


def known(store: Store, block: Block) -> Known | None:
    """Return the INRs of a block as far as the old store has them; None if it has none of them."""
    origin = _origin(store.path)
    if origin is None or block.seed >= origin[0].num_seeds:
        return None
    old, row_of = origin
    rows_B = np.array([row_of.get(name, -1) for name in store.signal_ids[store.partition.rows(block.index)]])
    if (rows_B < 0).all():
        return None
    taken_B = np.where(rows_B < 0, rows_B.max(), rows_B)
    columns = {name: getattr(old, name)[taken_B, block.seed] for name in COLUMNS}
    measures = {name: values[taken_B, block.seed] for name, values in old.measures.items()}
    return Known(rows_B < 0, old.weights[taken_B, block.seed], Quality(**columns, measures=measures))


def num_new(store: Store, block: Block) -> int:
    """Return the number of INRs of a block that a build fits."""
    origin = _origin(store.path)
    if origin is None or block.seed >= origin[0].num_seeds:
        return store.num_rows(block)
    return sum(name not in origin[1] for name in store.signal_ids[store.partition.rows(block.index)])


def _origin(place: Location) -> tuple[Store, dict[str, int]] | None:
    """Return the store from which one grows, and the rows of its signals by id."""
    file = place / BUILD_FOLDER / FILE
    if not isinstance(file, Path) or not file.exists():
        return None
    old = file.parents[1].with_name(file.read_text())
    root = (old / "zarr.json").stat()
    return _opened(old, (root.st_ino, root.st_mtime_ns))


@lru_cache(maxsize=2)
def _opened(path: Path, root: tuple[int, int]) -> tuple[Store, dict[str, int]]:
    """Open a store once in a process; `root` tells it from the one that grows from it later, at the same path."""
    store = open_store(path)
    return store, {name: row for row, name in enumerate(store.signal_ids)}
