"""Made-up images of stripes, upright or level: signals that need no file."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import SPLITS, Signals, Source


@dataclass(frozen=True, kw_only=True)
class Stripes(Source):
    """Images of `size` × `size` pixels, one channel; the class is the direction of the stripes.

    Attributes:
        count: signals; every fourth is for test, every fourth for validation.
        size: pixels of a side.
    """

    count: int = 32
    size: int = 8

    def __post_init__(self) -> None:
        if min(self.count, self.size) < 4:
            raise InrzooError(f"count = {self.count} and size = {self.size} must be at least 4")

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; there are no files to name."""
        if path is not None:
            raise InrzooError(f"stripes are computed and cannot be read from {path}; leave --source out")
        numbers = np.arange(self.count)
        codes = (numbers % 2).astype(np.int64)
        wave = np.sin(np.arange(self.size) + numbers[:, None])
        rows = np.rint(127.5 * (1 + wave)).astype(np.uint8)

        def values(indices: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
            for index in indices:
                image = np.tile(rows[index], (self.size, 1))
                yield index, (image if codes[index] else image.T)[:, :, None]

        split = np.array([SPLITS.index(("test", "validation", "train", "train")[i // 2 % 4]) for i in numbers])
        return Signals(
            grid=(self.size, self.size),
            channels=1,
            ids=[f"stripes/{number}" for number in numbers],
            labels={"direction": codes},
            label_names={"direction": ["level", "upright"]},
            split=split.astype(np.uint8),
            values=values,
            checksums={"stripes": hashlib.sha256(rows.tobytes()).hexdigest()},
        )
