"""Augmentations of signals on a grid, one file each: signals of a training batch come in, changed ones go out.

Tasks that learn from signals apply them (`--augment`); weights are augmented by `inrzoo.loaders.transforms`. What is
drawn for a signal is a function of the seed of the training, the epoch and the signal, and of nothing else: batch,
worker and interruptions change nothing.

Shape letters: B signals, K points of the grid, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.short_forms import ShortForm, made


@dataclass(frozen=True, kw_only=True)
class Augmentation(ShortForm, ABC):
    """A random change of a signal; a subclass in `inrzoo/augmentations/<name>.py` adds its fields and `__call__`.

    `registry.make("augmentations", {"name": …}, sizes=sizes)` makes it.

    Attributes:
        sizes: the grid of the signals, slowest axis first; given by the data and not by the user.
    """

    RUNTIME_FIELDS: ClassVar[tuple[str, ...]] = ("sizes",)

    sizes: tuple[int, ...]

    @abstractmethod
    def __call__(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Change one signal by a random draw.

        Args:
            values: (*sizes, C), float32, on the CPU; not modified.
            generator: all that is random comes from it.

        Returns:
            (*sizes, C), float32.
        """

    def require_axes(self, allowed: range) -> None:
        """Raise the one-line error unless the grid has an allowed number of axes."""
        if len(self.sizes) not in allowed:
            numbers = " or ".join(str(number) for number in allowed)
            raise InrzooError(f"it takes grids of {numbers} axes; the signals have {len(self.sizes)}")


def make_augmentations(tables: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> tuple[Augmentation, ...]:
    """Augmentations from their tables, in the order of the tables.

    Args:
        tables: `name` and fields of each.
        sizes: the grid of the signals, slowest axis first.

    Raises:
        InrzooError: an unknown augmentation, an unknown field, an impossible value, or one that is not for this grid.

    Example:
        >>> crop, flip = make_augmentations([{"name": "crop", "padding": 4}, {"name": "flip"}], (32, 32))
        >>> crop.padding, flip.probability
        (4, 0.5)
    """
    return tuple(made("augmentations", tables, sizes=tuple(sizes)))


def augmented(
    values: Tensor, augmentations: Sequence[Augmentation], generators: Iterable[torch.Generator], sizes: Sequence[int]
) -> Tensor:
    """Signals after all augmentations, in order.

    Args:
        values: (B, K, C); not modified.
        augmentations: of grids of these sizes.
        generators: one for each signal.
        sizes: the grid, whose product is K.

    Returns:
        (B, K, C).
    """
    changed = []
    for signal_KC, generator in zip(values, generators, strict=True):
        signal = signal_KC.reshape(*sizes, -1)
        for augmentation in augmentations:
            signal = augmentation(signal, generator)
        changed.append(signal.reshape(signal_KC.shape))
    return torch.stack(changed)
