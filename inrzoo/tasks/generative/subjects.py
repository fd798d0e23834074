"""What a generative model makes: weights of INRs, or signals themselves, the baseline that knows no INRs.

Shape letters: B items, P numbers of one, K coordinates, C channels, D coordinate dimensions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor

from inrzoo.encoders import pixel_layout
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.loaders import WeightBatch
from inrzoo.weights import WeightLayout

Of = Literal["weights", "signals"]


class Subject(ABC):
    """Vectors of P numbers that stand for functions on a grid.

    Attributes:
        layout: of the P numbers.
        with_signals: whether batches need the signals.
    """

    layout: WeightLayout
    with_signals: ClassVar[bool] = False

    @abstractmethod
    def read(self, batch: WeightBatch) -> Tensor:
        """The vectors (B, P) of a batch that is not normalised."""

    @abstractmethod
    def values(self, vectors: Tensor, points: Tensor | None = None) -> Tensor:
        """Values (B, K, C) at points of the grid, differentiable in the vectors.

        Args:
            vectors: (B, P).
            points: numbers of the points, (K,) int64; None for the whole grid.
        """


class Weights(Subject):
    """Weights of INRs as they were fitted.

    Args:
        inr: the family.
        layout: of the weights.
        coords: of the grid, (K, D).
    """

    def __init__(self, inr: INR, layout: WeightLayout, coords: Tensor) -> None:
        self._inr, self.layout, self._coords = inr, layout, coords

    def read(self, batch: WeightBatch) -> Tensor:
        """See `Subject.read`."""
        return batch.weights

    def values(self, vectors: Tensor, points: Tensor | None = None) -> Tensor:
        """See `Subject.values`."""
        self._coords = self._coords.to(vectors.device)
        return self._inr(vectors, self._coords if points is None else self._coords[points])


class Signals(Subject):
    """Signals on a grid of two axes, as the INRs were fitted to them.

    Args:
        grid: points along each axis.
        channels: C.

    Raises:
        InrzooError: the grid has not two axes.
    """

    with_signals = True

    def __init__(self, grid: tuple[int, ...], channels: int) -> None:
        if len(grid) != 2:
            raise InrzooError(f'of = "signals" is for images; the signals of this store have a grid of {list(grid)}')
        self._channels, self.layout = channels, pixel_layout(grid, channels)

    def read(self, batch: WeightBatch) -> Tensor:
        """See `Subject.read`."""
        assert batch.targets is not None, "the dataset was loaded with its signals"
        return batch.targets.flatten(1)

    def values(self, vectors: Tensor, points: Tensor | None = None) -> Tensor:
        """See `Subject.values`."""
        values_BKC: Tensor = vectors.unflatten(1, (-1, self._channels))
        return values_BKC if points is None else values_BKC[:, points]
