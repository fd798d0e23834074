"""The 8 × 8 digits that come with scikit-learn: 1,797 signals without any download.

Alpaydin, Kaynak: Optical recognition of handwritten digits, UCI Machine Learning Repository, 1998 (its test part).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.sources import Signals, Source
from inrzoo.sources._splits import check_counts, stratified_split


@dataclass(frozen=True, kw_only=True)
class Digits(Source):
    """Handwritten digits, 8 × 8, one channel; the original values 0..16 become round(v·255/16).

    Attributes:
        num_validation: signals drawn for validation, evenly over the classes.
        num_test: signals drawn for test; the rest is train.
        split_seed: seed of that random draw.
    """

    num_validation: int = 180
    num_test: int = 360
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_counts("digits", num_validation=self.num_validation, num_test=self.num_test, split_seed=self.split_seed)

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` must be None."""
        if path is not None:
            raise InrzooError(f"digits come with scikit-learn and cannot be read from {path}; leave --source out")
        with needed("build", "the source digits"):
            from sklearn.datasets import load_digits

        images, digits = load_digits(return_X_y=True)
        images_NK = np.rint(images * (255 / 16)).astype(np.uint8)
        codes = digits.astype(np.int64)

        def values(indices: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
            for index in indices:
                yield index, images_NK[index].reshape(8, 8, 1)

        return Signals(
            grid=(8, 8),
            channels=1,
            ids=[f"digits/{row:04d}" for row in range(len(codes))],
            labels={"digit": codes},
            label_names={"digit": [str(digit) for digit in range(10)]},
            split=stratified_split(codes, self.num_validation, self.num_test, self.split_seed),
            values=values,
            # Of the decoded table: scikit-learn may compress its file differently in any version.
            checksums={"digits": hashlib.sha256(images_NK.tobytes() + codes.tobytes()).hexdigest()},
        )
