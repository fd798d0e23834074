"""Shapes made by a formula: an example of signed distances that needs neither a download nor a mesh library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.observations import ArraySpec
from inrzoo.sources import Signals
from inrzoo.sources._formula import FormulaSource
from inrzoo.sources._splits import check_counts

PLASTIC = 1.22074408460575947536
"""The real root of x⁴ = x + 1; its powers make the sequence of points."""


def _sphere(points: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(points, axis=-1) - size)


def _box(points: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    beyond = np.abs(points) - size * np.array([1.0, 0.75, 0.5])
    outside = np.linalg.norm(np.maximum(beyond, 0), axis=-1)
    return np.asarray(outside + np.minimum(beyond.max(axis=-1), 0))


def _torus(points: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    ring = np.linalg.norm(points[..., :2], axis=-1) - size
    return np.asarray(np.hypot(ring, points[..., 2]) - 0.4 * size)


KINDS: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.float64]]] = {
    "sphere": _sphere,
    "box": _box,
    "torus": _torus,
}
"""Signed distances, negative inside, of shapes around 0 of a size."""


@dataclass(frozen=True, kw_only=True)
class Solids(FormulaSource):
    """Spheres, boxes and tori as signed distances at points, float16: twelve by default.

    Solid `n` is of kind `n mod 3` and has a size of 0.4 to 0.6. Its points are the first of a sequence that fills the
    cube evenly, frac(s + k · (1/φ, 1/φ², 1/φ³)) with φ⁴ = φ + 1; the held-out ones are those that follow.
    Distances are those at the points as they are stored.

    Attributes:
        num_points: points that INRs are fitted to.
        num_held_out: points that quality is measured at.
    """

    SOURCE: ClassVar[str] = "solids"

    num_points: int = 1024
    num_held_out: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts("solids", 1, num_points=self.num_points, num_held_out=self.num_held_out)

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` must be None."""
        self.require_no_path(path)
        numbers = np.arange(self.num_signals)
        sizes = 0.4 + 0.2 * numbers / max(1, self.num_signals - 1)
        codes = numbers.astype(np.int64) % len(KINDS)
        names, total = list(KINDS), self.num_points + self.num_held_out

        def values(indices: Sequence[int]) -> Iterator[tuple[int, dict[str, NDArray[np.float16]]]]:
            for index in indices:
                fractions = (
                    index / self.num_signals + np.arange(1, total + 1)[:, None] / PLASTIC ** np.arange(1, 4)
                ) % 1
                points = (2 * fractions - 1).astype(np.float16)
                distances = KINDS[names[codes[index]]](points.astype(np.float64), float(sizes[index]))
                signals = distances.astype(np.float16)[:, None]
                yield (
                    index,
                    {
                        "points": points[: self.num_points],
                        "signals": signals[: self.num_points],
                        "held_out_points": points[self.num_points :],
                        "held_out_signals": signals[self.num_points :],
                    },
                )

        return Signals(
            grid=(self.num_points,),
            channels=1,
            ids=[f"solids/{number:03d}" for number in numbers],
            labels={"kind": codes},
            label_names={"kind": names},
            split=self.draw_split(codes),
            values=values,
            dtype="float16",
            arrays={
                "points": ArraySpec((self.num_points, 3), "float16"),
                "held_out_points": ArraySpec((self.num_held_out, 3), "float16"),
                "held_out_signals": ArraySpec((self.num_held_out, 1), "float16"),
            },
            numbers={"size": sizes},
        )
