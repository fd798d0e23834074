"""Independent random streams keyed by what they are for: (purpose, dataset, seed, signal).

A stream depends on its key alone, not on batch, worker, order or on any other stream. Philox is counter based
(Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), its 128-bit key is a hash of the words, and numbers
are made from its raw 64-bit output, which numpy promises never to change (its `Generator` methods may, NEP 19).
"""

import hashlib
import json

import numpy as np
from numpy.typing import NDArray


class Stream:
    """A random stream that is a function of its key alone.

    Example:
        >>> first = Stream("init", "omniglot", 0, "Greek/character01/0394_01.png")
        >>> again = Stream("init", "omniglot", 0, "Greek/character01/0394_01.png")
        >>> bool((first.uniform(-1, 1, 4) == again.uniform(-1, 1, 4)).all())
        True
    """

    def __init__(self, purpose: str, dataset: str, seed: int, signal: str = "") -> None:
        # JSON keeps the words apart: ("a", "bc") and ("ab", "c") are different keys.
        words = json.dumps([purpose, dataset, int(seed), signal], ensure_ascii=True)
        digest = hashlib.blake2b(words.encode(), digest_size=16).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest, "little"))

    def uniform(self, low: float, high: float, count: int) -> NDArray[np.float64]:
        """`count` draws from U[low, high), 53 random bits each, float64."""
        bits: NDArray[np.uint64] = self._bits.random_raw(count)
        unit = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return low + (high - low) * unit

    def shuffle(self, count: int) -> NDArray[np.int64]:
        """A random order of `range(count)`, int64."""
        return np.argsort(self._bits.random_raw(count), kind="stable")
