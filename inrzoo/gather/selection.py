"""Chooses INRs of a store by split, label, quality and number.

Shape letters: N signals, S seeds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.gather.parts import Part
from inrzoo.store import Store
from inrzoo.store.normalize_index import normalize_index

MAX_LISTED = 20
"""Maximum number of numbers that a store records one by one."""


def selected(
    store: Store,
    *,
    split: str | None,
    labels: Mapping[str, str | Sequence[str]],
    min_psnr: float | None,
    signals: slice | Sequence[int] | NDArray[np.int64] | None,
    seeds: int | Sequence[int] | None,
    views: int | Sequence[int] | None,
) -> Part:
    """Return the INRs that meet every condition; see `inrzoo.gather.subset`.

    Raises:
        InrzooError: a name or number is absent, or no INR is left.
    """
    keep_N = np.zeros(store.num_signals, dtype=bool)
    try:
        keep_N[normalize_index(slice(None) if signals is None else signals, store.num_signals, "signals")] = True
    except IndexError as error:
        raise InrzooError(f"{store.location}: {error}") from None
    if split is not None:
        keep_N &= store.split == _code(store, "split", split, store.info.split_names)
    for column, names in labels.items():
        if column not in store.labels:
            raise InrzooError(f"{store.location} has no label {column!r}; there are: {', '.join(store.labels)}")
        known = store.info.label_names[column]
        codes = [_code(store, column, name, known) for name in ([names] if isinstance(names, str) else names)]
        keep_N &= np.isin(store.labels[column], codes)
    chosen_seeds = _numbers(store, "seed", seeds, range(store.num_seeds))
    steps = [store.snapshots.index(view) for view in _numbers(store, "view", views, store.snapshots)]
    part = Part.of(
        store, signals=np.flatnonzero(keep_N), seeds=np.array(chosen_seeds), steps=np.array(sorted(steps), dtype=int)
    )
    if min_psnr is not None:
        psnr_NS = store.psnr[part.signals][:, part.seeds, part.steps[-1]]
        part = replace(part, chosen_NS=part.chosen_NS & (psnr_NS >= min_psnr))  # NaN meets nothing
    has_inr = part.chosen_NS.any(axis=1)
    if not has_inr.any():
        raise InrzooError(f"no INR of {store.location} is left; inrzoo info {store.location} says what it holds")
    return replace(part, signals=part.signals[has_inr], chosen_NS=part.chosen_NS[has_inr])


def as_words(asked: object) -> str:
    """Return a condition as a store records it, in few words however many numbers it has: `0:60000`, `3,5`.

    Example:
        >>> as_words([3, 4, 5]), as_words([5, 3]), as_words(slice(None, 9)), as_words({"digit": ["3", "5"]})
        ('3:6', '5,3', ':9', 'digit=3,5')
    """
    if isinstance(asked, slice):
        ends = [asked.start, asked.stop] if asked.step is None else [asked.start, asked.stop, asked.step]
        return ":".join("" if end is None else str(end) for end in ends)
    if isinstance(asked, Mapping):
        return "; ".join(f"{name}={as_words(values)}" for name, values in asked.items())
    if not isinstance(asked, Sequence | np.ndarray) or isinstance(asked, str):
        return str(asked)
    words = [str(each) for each in asked]
    if len(words) > 1 and words == [str(number) for number in range(int(asked[0]), int(asked[0]) + len(words))]:
        return f"{words[0]}:{int(words[-1]) + 1}"
    if len(words) <= MAX_LISTED:
        return ",".join(words)
    return f"{len(words):,} numbers, sha256 {hashlib.sha256(','.join(words).encode()).hexdigest()[:16]}"


def _code(store: Store, kind: str, name: str, known: Sequence[str]) -> int:
    if name not in known:
        raise InrzooError(f"{store.location} has no {kind} {name!r}; there are: {', '.join(known)}")
    return known.index(name)


def _numbers(store: Store, kind: str, asked: int | Sequence[int] | None, known: Iterable[int]) -> list[int]:
    numbers = list(known)
    chosen = numbers if asked is None else [asked] if isinstance(asked, int) else list(asked)
    for number in chosen:
        if number not in numbers:
            raise InrzooError(f"{store.location} has no {kind} {number}; there are: {', '.join(map(str, numbers))}")
    if len({*chosen}) < len(chosen) or not chosen:
        raise InrzooError(f"{kind}s = {list(chosen)} of {store.location}: name one or several, each once")
    return chosen
