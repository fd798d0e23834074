"""Which INRs of a dataset are of the same signal, and drawing from each of many sets at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Members:
    """Sets of numbers: set i is `flat[starts[i] : starts[i] + counts[i]]`.

    Attributes:
        keys: (sets,), ascending: what the members of each set have in common.
        flat: members, set by set, ascending inside each.
        starts, counts: (sets,).
    """

    keys: NDArray[np.int64]
    flat: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, keys_L: NDArray[np.int64]) -> Members:
        """The positions of each key that occurs."""
        keys, starts, counts = np.unique(np.sort(keys_L), return_index=True, return_counts=True)
        return cls(keys, np.argsort(keys_L, kind="stable"), starts, counts)

    def __len__(self) -> int:
        """Number of sets."""
        return len(self.keys)

    def pick(self, sets_B: NDArray[np.int64], uniform_B: NDArray[np.float64]) -> NDArray[np.int64]:
        """One member of each of B sets, by numbers from [0, 1)."""
        return self.flat[self.starts[sets_B] + (uniform_B * self.counts[sets_B]).astype(np.int64)]

    def pick_two(
        self, sets_B: NDArray[np.int64], uniform_2B: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Two different members of each of B sets with at least two; every ordered pair is as likely."""
        counts = self.counts[sets_B]
        first = (uniform_2B[0] * counts).astype(np.int64)
        second = (first + 1 + (uniform_2B[1] * (counts - 1)).astype(np.int64)) % counts
        return self.flat[self.starts[sets_B] + first], self.flat[self.starts[sets_B] + second]
