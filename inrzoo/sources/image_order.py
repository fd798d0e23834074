"""Orders of images that do not depend on the copy that they are read from.

Copies of a dataset differ in the order of their images, and the start of an INR and the validation split are drawn by
a signal's place. `manifests/orders/NAME.npz` holds an order for each part of a dataset, relative to the sorted sha256
of the images; `pipelines/image_orders.py` writes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.nearest import among
from inrzoo.shipped import folder


def names() -> list[str]:
    """Return the names of the orders that come with inrzoo."""
    return sorted(path.stem for path in (folder() / "orders").glob("*.npz"))


def ordered_rows(field: str, name: str, part: str, images: Iterable[tuple[int, bytes]]) -> NDArray[np.int64]:
    """Return for each place in an order the row of this copy that stands there.

    Args:
        field: the setting that names the order, for errors.
        name: of the order.
        part: of the dataset, such as `train`.
        images: class code and pixel values (uint8, row by row) of each row of the copy.

    Raises:
        InrzooError: there is no such order, or it is one of other images.
    """
    rows, digest = sorted_by_content(images)
    path = folder() / "orders" / f"{name}.npz"
    if not path.is_file():
        raise InrzooError(f"{field} = {name!r} names no order{among(name, names())}")
    with np.load(path, allow_pickle=False) as orders:
        if part not in orders.files:
            raise InrzooError(f"{field} = {name!r} has no order for {part!r}{among(part, orders.files)}")
        ranks, pinned = orders[part], bytes(orders[f"{part}_sha256"])
    if digest != pinned:
        raise InrzooError(
            f"{field} = {name!r} is an order of {len(ranks)} other images of {part!r}: these {len(rows)} have sha256 "
            f"{digest.hex()[:12]}…, it is made for {pinned.hex()[:12]}…; without it they keep the order of the files"
        )
    ordered: NDArray[np.int64] = rows[ranks]
    return ordered


def sorted_by_content(images: Iterable[tuple[int, bytes]]) -> tuple[NDArray[np.int64], bytes]:
    """Return the rows in the order of the sha256 of class and pixels, and the sha256 of all of these in that order.

    Equal images of one class keep the order of the copy, where it makes no difference.
    """
    digests = [hashlib.sha256(code.to_bytes(4, "little") + pixels).digest() for code, pixels in images]
    rows = sorted(range(len(digests)), key=digests.__getitem__)
    return np.array(rows, dtype=np.int64), hashlib.sha256(b"".join(digests[row] for row in rows)).digest()


def write_order(path: Path, parts: Mapping[str, Iterable[tuple[int, bytes]]]) -> None:
    """Write the order in which a copy holds the images of each part; see `ordered_rows` for the images."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for part, images in parts.items():
        rows, digest = sorted_by_content(images)
        ranks = np.empty(len(rows), np.min_scalar_type(len(rows)))
        ranks[rows] = np.arange(len(rows))
        arrays[part] = ranks
        arrays[f"{part}_sha256"] = np.frombuffer(digest, np.uint8)
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
