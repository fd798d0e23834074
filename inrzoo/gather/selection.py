"""Chooses INRs of a store by split, label, quality and number.

Shape letters: N signals, S seeds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.gather.parts import Part
from inrzoo.store import Store
from inrzoo.store.normalize_index import normalize_index

MAX_LISTED = 20
"""Maximum number of numbers that a store records one by one."""
OPTIONS = {"labels": "label"}
"""Options with another name than their condition."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Conditions on the INRs of a store, as `inrzoo.subset` takes them; None for no condition."""

    split: str | None
    labels: Mapping[str, str | Sequence[str]] | None
    min_psnr: float | None
    signals: slice | Sequence[int] | NDArray[np.int64] | None
    seeds: int | Sequence[int] | None
    views: int | Sequence[int] | None

    def of(self, store: Store) -> Part:
        """Return the INRs that meet every condition.

        Raises:
            InrzooError: a name or number is absent, or no INR is left.
        """
        keep_N = np.zeros(store.num_signals, dtype=bool)
        try:
            signals = slice(None) if self.signals is None else self.signals
            keep_N[normalize_index(signals, store.num_signals, "signals")] = True
        except IndexError as error:
            raise InrzooError(f"{store.location}: {error}") from None
        if self.split is not None:
            keep_N &= store.split == _code(store, "split", self.split, store.info.split_names)
        for column, names in (self.labels or {}).items():
            if column not in store.labels:
                raise InrzooError(f"{store.location} has no label {column!r}; there are: {', '.join(store.labels)}")
            known = store.info.label_names[column]
            codes = [_code(store, column, name, known) for name in ([names] if isinstance(names, str) else names)]
            keep_N &= np.isin(store.labels[column], codes)
        chosen_seeds = _numbers(store, "seed", self.seeds, range(store.num_seeds))
        steps = [store.snapshots.index(view) for view in _numbers(store, "view", self.views, store.snapshots)]
        part = Part.of(
            store,
            signals=np.flatnonzero(keep_N),
            seeds=np.array(chosen_seeds),
            steps=np.array(sorted(steps), dtype=int),
        )
        if self.min_psnr is not None:
            psnr_NS = store.psnr[part.signals][:, part.seeds, part.steps[-1]]
            part = replace(part, chosen_NS=part.chosen_NS & (psnr_NS >= self.min_psnr))  # NaN meets nothing
        has_inr = part.chosen_NS.any(axis=1)
        if not has_inr.any():
            raise InrzooError(f"no INR of {store.location} is left; inrzoo info {store.location} says what it holds")
        return replace(part, signals=part.signals[has_inr], chosen_NS=part.chosen_NS[has_inr])

    def words(self) -> dict[str, str]:
        """Return the conditions by the names of their options, as a store records them."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)}
        return {OPTIONS.get(name, name): as_words(value) for name, value in asked.items() if value is not None}


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
