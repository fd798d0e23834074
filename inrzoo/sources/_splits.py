"""Splits, drawn with a seed evenly over the classes, or read from a table of class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.nearest import among
from inrzoo.sources import SPLITS


def seeded_order(count: int, seed: int) -> NDArray[np.int64]:
    """Draw a random order of `range(count)` that depends on `seed` alone.

    It sorts raw Philox numbers, because numpy guarantees the streams of bit generators but not of `permutation`.
    """
    return np.argsort(np.random.Philox(key=seed).random_raw(count), kind="stable")


def stratified_split(codes: NDArray[np.int64], num_validation: int, num_test: int, seed: int) -> NDArray[np.uint8]:
    """Draw validation and test signals with the same share of every class.

    The test signals are drawn first, so they do not depend on `num_validation`.

    Args:
        codes: N class codes.
        num_validation: number of validation signals.
        num_test: number of test signals; the rest is train.
        seed: seed of the random draw, 0 or more.

    Returns:
        N indices into `SPLITS`. Of C classes, one of n signals gives n·num_test/N test signals, at most 1/2 + n·C/(2 N)
        more or fewer; for classes of one size that is 1.

    Raises:
        InrzooError: no signal would be left to train on.
    """
    if num_validation + num_test >= len(codes):
        raise InrzooError(
            f"num_validation + num_test = {num_validation} + {num_test} leaves nothing of the {len(codes)} signals "
            f"to train on; their sum may be at most {max(len(codes) - 1, 0)}"
        )
    order = seeded_order(len(codes), seed)
    share = np.empty(len(codes))
    for code in np.unique(codes):
        members = order[codes[order] == code]
        share[members] = (np.arange(len(members)) + 0.5) / len(members)
    drawn = np.lexsort((np.argsort(order), share))
    split = np.full(len(codes), SPLITS.index("train"), dtype=np.uint8)
    split[drawn[:num_test]] = SPLITS.index("test")
    split[drawn[num_test : num_test + num_validation]] = SPLITS.index("validation")
    return split


def draw_validation(
    split: NDArray[np.uint8], codes: NDArray[np.int64], num_validation: int, seed: int
) -> NDArray[np.uint8]:
    """Move `num_validation` training signals of a given split to validation, evenly over the classes.

    Raises:
        InrzooError: the split already has validation signals, or too few for training.
    """
    if not num_validation:
        return split
    if (split == SPLITS.index("validation")).any():
        raise InrzooError(f"num_validation = {num_validation}, but the data have a validation split; leave it at 0")
    train = np.flatnonzero(split == SPLITS.index("train"))
    split = split.copy()
    split[train] = stratified_split(codes[train], num_validation, 0, seed)
    return split


def check_split_table(field: str, table: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the split index of every class of a table `split -> class names`.

    Raises:
        InrzooError: a split is unknown, a class occurs twice, or the table is empty.
    """
    if unknown := [split for split in table if split not in SPLITS]:
        raise InrzooError(f"{field} has no split {unknown[0]!r}{among(unknown[0], SPLITS)}")
    split_of: dict[str, int] = {}
    for split, names in table.items():
        for name in names:
            if name in split_of:
                raise InrzooError(f"{field} names the class {name!r} twice; a class belongs to one split")
            split_of[name] = SPLITS.index(split)
    if not split_of:
        raise InrzooError(f"{field} names no class; expected a table like train = ['cat', 'dog']")
    return split_of


def check_counts(source: str, minimum: int = 0, **fields: int | None) -> None:
    """Check that fields are at least `minimum` or None.

    Raises:
        InrzooError: names the source, the field and the value.
    """
    for field, value in fields.items():
        if value is not None and value < minimum:
            raise InrzooError(f"{source}.{field} = {value} is impossible; it must be {minimum} or more")
