"""Sources of tests: two fields of wind, and values at scattered points."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inrzoo.coords import Axis
from inrzoo.observations import ArraySpec
from inrzoo.sources import Signals, Source


def described(count: int) -> dict[str, Any]:
    return {
        "ids": [f"{number}" for number in range(count)],
        "labels": {"class": np.zeros(count, np.int64)},
        "label_names": {"class": ["all"]},
        "split": np.zeros(count, np.uint8),
    }


@dataclass(frozen=True, kw_only=True)
class Wind(Source):
    levels: int = 0

    def read(self, path: Path | None) -> Signals:
        grid = (self.levels, 6, 9) if self.levels else (6, 9)
        places = np.indices(grid)[-2:].astype(np.float32)

        def values(indices: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
            for index in indices:
                yield index, np.stack([3.0 * places[0] - index, 10.0 * np.sin(places[1])], axis=-1).astype(np.float32)

        names = ("height", "latitude", "longitude")[-len(grid) :]
        axes = tuple(Axis(name=name, unit="m" if name == "height" else "degrees", step=-1.0) for name in names)
        return Signals(grid=grid, channels=2, dtype="float32", axes=axes, values=values, **described(3))


@dataclass(frozen=True, kw_only=True)
class Scattered(Source):
    def read(self, path: Path | None) -> Signals:
        points = np.random.default_rng(0).uniform(-1, 1, (24, 2)).astype(np.float32)
        numbers = (points[:, :1] * points[:, 1:]).astype(np.float32)

        def values(indices: Sequence[int]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
            for index in indices:
                yield (
                    index,
                    {
                        "signals": numbers[:16],
                        "points": points[:16],
                        "held_out_points": points[16:],
                        "held_out_signals": numbers[16:],
                    },
                )

        arrays = {
            "points": ArraySpec((16, 2), "float32"),
            "held_out_points": ArraySpec((8, 2), "float32"),
            "held_out_signals": ArraySpec((8, 1), "float32"),
        }
        return Signals(grid=(16,), channels=1, dtype="float32", arrays=arrays, values=values, **described(2))
