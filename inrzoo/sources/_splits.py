"""Splits: drawn with a seed, evenly over the classes, or given as a table of class names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import SPLITS


def seeded_order(count: int, seed: int) -> NDArray[np.int64]:
    """A random order of `count` things that depends on `seed` alone.

    Raw Philox numbers are sorted, since numpy keeps the streams of its bit generators but not those of `permutation`.
    """
    return np.argsort(np.random.Philox(key=seed).random_raw(count), kind="stable")


def stratified_split(codes: NDArray[np.int64], num_validation: int, num_test: int, seed: int) -> NDArray[np.uint8]:
    """Draw validation and test signals so that every class gives its share of both.

    The test signals are drawn first, so they stay the same when `num_validation` changes.

    Args:
        codes: N class codes.
        num_validation: how many signals become validation.
        num_test: how many become test; the rest is train.
        seed: of the draw, 0 or more.

    Returns:
        N indices into `SPLITS`. A class of n signals gives n·num_test/N test signals, rounded up or down.

    Raises:
        InrzooError: nothing would be left to train on.
    """
    if num_validation + num_test >= len(codes):
        raise InrzooError(
            f"num_validation + num_test = {num_validation} + {num_test} leaves nothing of the {len(codes)} signals "
            f"to train on; together at most {max(len(codes) - 1, 0)}"
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
    """Move `num_validation` of the training signals of a ready-made split to validation, evenly over the classes.

    Raises:
        InrzooError: the split has validation signals already, or too few for training.
    """
    if not num_validation:
        return split
    if (split == SPLITS.index("validation")).any():
        raise InrzooError(f"num_validation = {num_validation}, but the data bring a validation split; leave it at 0")
    train = np.flatnonzero(split == SPLITS.index("train"))
    split = split.copy()
    split[train] = stratified_split(codes[train], num_validation, 0, seed)
    return split


def check_split_table(field: str, table: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The split index of every class of a table `split -> class names`.

    Raises:
        InrzooError: unknown split, no class at all, or a class in two places.
    """
    if unknown := [split for split in table if split not in SPLITS]:
        raise InrzooError(f"{field} has no split {unknown[0]!r}; there are: {', '.join(SPLITS)}")
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
    """Refuse fields below `minimum`; None passes.

    Raises:
        InrzooError: names the source, the field and the value.
    """
    for field, value in fields.items():
        if value is not None and value < minimum:
            raise InrzooError(f"{source}.{field} = {value} is impossible; it must be {minimum} or more")
