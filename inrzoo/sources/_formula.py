"""What the sources of signals that are made by formulas share: how many there are, and how they are split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import Source
from inrzoo.sources._splits import check_counts, stratified_split


@dataclass(frozen=True, kw_only=True)
class FormulaSource(Source):
    """Base class of sources whose signals are made by a formula; `SOURCE` is the name of the source.

    Attributes:
        num_signals: number of signals.
        num_validation: number of signals drawn for validation, evenly over the classes.
        num_test: number of signals drawn for test, evenly over the classes.
        split_seed: seed of the random draw.
    """

    SOURCE: ClassVar[str]

    num_signals: int = 12
    num_validation: int = 3
    num_test: int = 3
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_counts(self.SOURCE, 1, num_signals=self.num_signals)
        check_counts(
            self.SOURCE, num_validation=self.num_validation, num_test=self.num_test, split_seed=self.split_seed
        )

    def require_no_path(self, path: Path | None) -> None:
        """Raise InrzooError unless the user names no files."""
        if path is not None:
            raise InrzooError(f"{self.SOURCE} are made by a formula and cannot be read from {path}; leave --source out")

    def draw_split(self, codes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Draw the split of each signal, evenly over the classes `codes`."""
        return stratified_split(codes, self.num_validation, self.num_test, self.split_seed)
