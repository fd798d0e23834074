"""The largest and the RMS difference of numbers of two stores, added up batch by batch.

Shape letters: B rows of a batch, P numbers of a row.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class Deviation:
    """The differences between the numbers of two stores.

    Attributes:
        compared: pairs of weight vectors, or of PSNRs.
        bit_equal: pairs with the same bits.
        not_finite: pairs that differ and hold an infinite number or NaN; left out of the figures below.
        largest: largest absolute difference between two numbers.
        rms: root mean square of all differences, those of equal pairs too.
    """

    compared: int = 0
    bit_equal: int = 0
    not_finite: int = 0
    largest: float = 0.0
    rms: float = 0.0

    def add(self, a_BP: NDArray[np.float32], b_BP: NDArray[np.float32]) -> None:
        """Add pairs of rows."""
        bits_a, bits_b = (np.ascontiguousarray(rows).view(np.uint32) for rows in (a_BP, b_BP))
        equal_B: NDArray[np.bool_] = np.asarray((bits_a == bits_b).all(axis=1))
        with np.errstate(invalid="ignore"):
            difference = a_BP[~equal_B].astype(np.float64) - b_BP[~equal_B]
        finite = difference[np.isfinite(difference).all(axis=1)]
        squares = self.rms**2 * (self.compared - self.not_finite) + float((finite**2).sum()) / a_BP.shape[1]
        self.compared += len(equal_B)
        self.bit_equal += int(equal_B.sum())
        self.not_finite += len(difference) - len(finite)
        self.largest = max(self.largest, float(np.abs(finite).max(initial=0.0)))
        self.rms = math.sqrt(squares / max(1, self.compared - self.not_finite))
