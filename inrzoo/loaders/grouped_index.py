"""Groups positions by key, for example INRs by signal, and draws from many groups at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class GroupedIndex:
    """Groups of positions: group i is `flat[starts[i] : starts[i] + counts[i]]`.

    Attributes:
        keys: (groups,), ascending: the key of each group.
        flat: positions, group by group, ascending in each.
        starts, counts: (groups,).
    """

    keys: NDArray[np.int64]
    flat: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def from_keys(cls, keys_L: NDArray[np.int64]) -> GroupedIndex:
        """Group the positions of equal keys."""
        keys, starts, counts = np.unique(np.sort(keys_L), return_index=True, return_counts=True)
        return cls(keys, np.argsort(keys_L, kind="stable"), starts, counts)

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.keys)

    def pick(self, groups_B: NDArray[np.int64], uniform_B: NDArray[np.float64]) -> NDArray[np.int64]:
        """Pick a position of each of B groups by uniform numbers from [0, 1)."""
        return self.flat[self.starts[groups_B] + (uniform_B * self.counts[groups_B]).astype(np.int64)]

    def pick_two(
        self, groups_B: NDArray[np.int64], uniform_2B: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pick two different positions of each of B groups; all ordered pairs are equally likely."""
        counts = self.counts[groups_B]
        first = (uniform_2B[0] * counts).astype(np.int64)
        second = (first + 1 + (uniform_2B[1] * (counts - 1)).astype(np.int64)) % counts
        return self.flat[self.starts[groups_B] + first], self.flat[self.starts[groups_B] + second]
