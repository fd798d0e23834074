"""Independent random streams, keyed by (purpose, dataset, seed, signal).

A stream depends on its key alone, not on batch, worker, order or any other stream. Philox is counter based (Salmon et
al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). Its 128-bit key is a hash of the four parts, and numbers are
derived from its raw 64-bit output, which numpy guarantees never to change (its `Generator` methods may, NEP 19).
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
        # JSON separates the parts: ("a", "bc") and ("ab", "c") are different keys.
        key = json.dumps([purpose, dataset, int(seed), signal], ensure_ascii=True)
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest, "little"))

    def uniform(self, low: float, high: float, count: int) -> NDArray[np.float64]:
        """Draw `count` numbers from U[low, high), 53 random bits each, float64."""
        bits: NDArray[np.uint64] = self._bits.random_raw(count)
        unit = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return low + (high - low) * unit

    def normal(self, count: int) -> NDArray[np.float64]:
        """Draw `count` numbers from N(0, 1), float64: the cosine half of Box & Muller 1958.

        Draw i takes uniforms 2i (radius) and 2i + 1 (angle) and discards the sine half, so drawing in parts gives the
        same numbers. The largest possible magnitude is √(106 ln 2) = 8.6.
        """
        radius, angle = self.uniform(0, 1, 2 * count).reshape(count, 2).T
        normal: NDArray[np.float64] = np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)
        return normal

    def gamma(self, shape: float, rate: float, count: int) -> NDArray[np.float64]:
        """Draw `count` numbers from Gamma(shape, rate), mean shape/rate, float64.

        Marsaglia & Tsang 2000, "A simple method for generating gamma variables", without the squeeze, which only saves
        time. Each round takes `normal`, then `uniform`, for all draws not yet accepted; below shape 1 their
        Gamma(shape + 1) · U^(1/shape) takes `count` uniforms at the end. Drawing in parts therefore gives other values
        of the same distribution.
        """
        d = (shape if shape >= 1 else shape + 1) - 1 / 3
        c = 1 / np.sqrt(9 * d)
        draws = np.empty(count)
        pending = np.arange(count)
        while pending.size:
            normal = self.normal(pending.size)
            unit = 1 - self.uniform(0, 1, pending.size)  # in (0, 1]: its logarithm exists
            root = 1 + c * normal
            cube = np.where(root > 0, root * root * root, np.inf)  # infinite: never accepted
            with np.errstate(invalid="ignore"):  # ∞ - ∞ compares as False
                accepted = np.log(unit) < normal * normal / 2 + d - d * cube + d * np.log(cube)
            draws[pending[accepted]] = d * cube[accepted]
            pending = pending[~accepted]
        if shape < 1:
            draws *= (1 - self.uniform(0, 1, count)) ** (1 / shape)
        return draws / rate

    def word(self) -> int:
        """Draw 64 random bits: the key of a stream that is made elsewhere."""
        return int(self._bits.random_raw())

    def shuffle(self, count: int) -> NDArray[np.int64]:
        """Draw a random order of `range(count)`, int64."""
        return np.argsort(self._bits.random_raw(count), kind="stable")
