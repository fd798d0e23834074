"""The coordinates of each step of a fit that does not take all of them.
Formulas: docs/derivations/fitting.md#coordinate-subsets.

Draws are a function of (key of the INR, step, position) alone, so that they are the same in every engine, batch, thread
and order, and after an interruption. Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")
with the INR's 64-bit key and the counter (position, step, 0, 0) gives a word w of 32 bits; the coordinate is
⌊w K / 2³²⌋.

Shape letters: B batch of INRs, K coordinates, M coordinates of a step.
"""

import numpy as np
from numpy.typing import NDArray

ROUNDS = 10
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
INCREMENTS = (0x9E3779B9, 0xBB67AE85)
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def drawn(keys_B: NDArray[np.uint64], step: int, count: int, num_coords: int) -> NDArray[np.int64]:
    """Draw the coordinates of one step, with replacement, each with the same probability to within K / 2³².

    Args:
        keys_B: the key of each INR's stream.
        step: number of the step, from 0, below 2³².
        count: M.
        num_coords: K, below 2³².

    Returns:
        Shape (B, M), indices below K.
    """
    index_BM: NDArray[np.int64] = (_words(keys_B, step, count, 0) * np.uint64(num_coords) >> HALF).astype(np.int64)
    return index_BM


def places(keys_B: NDArray[np.uint64], step: int, count: int) -> NDArray[np.float32]:
    """Draw numbers of one step from U[0, 1), 24 random bits each: the places of samples in their intervals.

    The word is that of the counter (position, step, 1, 0), so that they are independent of `drawn`.

    Args:
        keys_B, step, count: as for `drawn`.

    Returns:
        Shape (B, M).
    """
    unit_BM: NDArray[np.float32] = (_words(keys_B, step, count, 1) >> np.uint64(8)).astype(np.float32)
    return unit_BM * np.float32(2.0**-24)


def _words(keys_B: NDArray[np.uint64], step: int, count: int, stream: int) -> NDArray[np.uint64]:
    """Words of 32 bits, (B, count), of the counters (position, step, stream, 0)."""
    shape = (len(keys_B), count)
    words = [np.broadcast_to(np.arange(count, dtype=np.uint64), shape), np.full(shape, step, dtype=np.uint64)]
    words += [np.full(shape, stream, dtype=np.uint64), np.zeros(shape, dtype=np.uint64)]
    keys = [keys_B[:, None] & LOW, keys_B[:, None] >> HALF]
    for number in range(ROUNDS):
        first, second = (words[2 * i] * MULTIPLIERS[i] for i in range(2))
        key_0, key_1 = ((keys[i] + np.uint64(number * INCREMENTS[i])) & LOW for i in range(2))
        words = [second >> HALF ^ words[1] ^ key_0, second & LOW, first >> HALF ^ words[3] ^ key_1, first & LOW]
    return words[0]
