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
    shape = (len(keys_B), count)
    words = [np.broadcast_to(np.arange(count, dtype=np.uint64), shape), np.full(shape, step, dtype=np.uint64)]
    words += [np.zeros(shape, dtype=np.uint64)] * 2
    keys = [keys_B[:, None] & LOW, keys_B[:, None] >> HALF]
    for number in range(ROUNDS):
        first, second = (words[2 * i] * MULTIPLIERS[i] for i in range(2))
        key_0, key_1 = ((keys[i] + np.uint64(number * INCREMENTS[i])) & LOW for i in range(2))
        words = [second >> HALF ^ words[1] ^ key_0, second & LOW, first >> HALF ^ words[3] ^ key_1, first & LOW]
    index_BM: NDArray[np.int64] = (words[0] * np.uint64(num_coords) >> HALF).astype(np.int64)
    return index_BM
