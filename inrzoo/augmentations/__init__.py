"""Augmentations of signals, one file each: signals of a training batch come in, changed ones go out.

Tasks that learn from signals apply them (`--augment`); weights are augmented by `inrzoo.loaders.transforms`. What is
drawn for a signal is a function of the seed of the training, the epoch and the signal, and of nothing else: batch,
worker and interruptions change nothing.

Shape letters: B signals, K points of a signal, C channels, R numbers of a place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.short_forms import ShortForm, made

Places = Literal["grid", "points", "rays"]
"""Where the values of signals lie: on a grid that all share, at points of their own, along rays of their own."""


@dataclass(frozen=True, kw_only=True)
class SignalKind:
    """What augmentations are told of the signals; an augmentation names what it needs in `RUNTIME_FIELDS`.

    Attributes:
        sizes: the grid, slowest axis first.
        places: where the values lie.
        quantity: of values at points: `udf`, `sdf`, `occupancy` or `values`.
        extent: highest coordinate.
        zero: the value that the number 0 becomes; None if it differs between signals.
        furthest: greatest distance that is not cut off, in units of the values; None for any.
    """

    sizes: tuple[int, ...]
    places: Places = "grid"
    quantity: str = "values"
    extent: float = 1.0
    zero: float | None = 0.0
    furthest: float | None = None


@dataclass(frozen=True, kw_only=True)
class SignalAugmentation(ShortForm, ABC):
    """A random change of a signal, of one of the kinds `PLACES`; `Augmentation` and `PlaceAugmentation` derive from it.

    Attributes:
        RUNTIME_FIELDS: the facts of `SignalKind` that are among its fields; no user sets them.
    """

    PLACES: ClassVar[tuple[Places, ...]]

    @abstractmethod
    def changed(
        self, values_KC: Tensor, where_KR: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Change the values of one signal, (K, C), and their places, (K, R) or None for a grid, by a random draw."""


@dataclass(frozen=True, kw_only=True)
class Augmentation(SignalAugmentation):
    """A random change of a signal on a grid; a subclass in `inrzoo/augmentations/<name>.py` adds fields and `__call__`.

    `registry.make("augmentations", {"name": …}, sizes=sizes)` makes it.

    Attributes:
        sizes: the grid of the signals, slowest axis first; given by the data and not by the user.
    """

    PLACES: ClassVar[tuple[Places, ...]] = ("grid",)
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

    def changed(
        self, values_KC: Tensor, where_KR: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """See `SignalAugmentation`."""
        return self(values_KC.reshape(*self.sizes, -1), generator).reshape(values_KC.shape), where_KR

    def require_axes(self, allowed: range) -> None:
        """Raise the one-line error unless the grid has an allowed number of axes."""
        if len(self.sizes) not in allowed:
            numbers = " or ".join(str(number) for number in allowed)
            raise InrzooError(f"it takes grids of {numbers} axes; the signals have {len(self.sizes)}")


@dataclass(frozen=True, kw_only=True)
class PlaceAugmentation(SignalAugmentation):
    """A random change of values at places of a signal's own; a subclass adds its fields and `__call__`.

    `registry.make("augmentations", {"name": …}, extent=extent)` makes it.

    Attributes:
        extent: highest coordinate of points; given by the data and not by the user.
    """

    PLACES: ClassVar[tuple[Places, ...]] = ("points",)
    RUNTIME_FIELDS: ClassVar[tuple[str, ...]] = ("extent",)

    extent: float

    @abstractmethod
    def __call__(self, values: Tensor, where: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Change one signal by a random draw.

        Args:
            values: (K, C), float32, on the CPU; not modified.
            where: coordinates of points, (K, D), or origins and directions of rays, (K, 6); not modified.
            generator: all that is random comes from it.

        Returns:
            Values and places of the same shapes.
        """

    def changed(
        self, values_KC: Tensor, where_KR: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """See `SignalAugmentation`."""
        assert where_KR is not None, "signals have the places that PLACES names"
        return self(values_KC, where_KR, generator)

    def within(self, values: Tensor, points: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Replace the points that lie outside the cube [-extent, extent]^D, and their values, by others of the signal,
        drawn at random, so that a signal keeps its number of points.
        """
        inside_K = (points.abs() <= self.extent).all(dim=1)
        inside = inside_K.nonzero()[:, 0]
        if len(inside) in (0, len(points)):
            return values, points
        index = torch.arange(len(points))
        drawn = torch.randint(len(inside), (len(points) - len(inside),), generator=generator)
        index[~inside_K] = inside[drawn]
        return values[index], points[index]


def make_augmentations(tables: Sequence[Mapping[str, Any]], signals: SignalKind) -> tuple[SignalAugmentation, ...]:
    """Augmentations from their tables, in the order of the tables.

    Args:
        tables: `name` and fields of each.
        signals: what they are to change.

    Raises:
        InrzooError: an unknown augmentation or field, an impossible value, or one that is not for these signals.

    Example:
        >>> tables = [{"name": "crop", "padding": 4}, {"name": "flip"}]
        >>> crop, flip = make_augmentations(tables, SignalKind(sizes=(32, 32)))
        >>> crop.padding, flip.probability
        (4, 0.5)
    """
    facts, augmentations = asdict(signals), []
    for table in tables:
        cls: type[SignalAugmentation] = registry.find("augmentations", str(table.get("name", "")))
        if signals.places not in cls.PLACES:
            raise InrzooError(
                f"augment {table.get('name', '')}: it takes {_NAMES[cls.PLACES[0]]}; these {_HAVE[signals.places]}"
            )
        augmentations += made("augmentations", [table], **{name: facts[name] for name in cls.RUNTIME_FIELDS})
    return tuple(augmentations)


_NAMES: dict[Places, str] = {"grid": "signals on a grid", "points": "points", "rays": "rays"}
_HAVE: dict[Places, str] = {
    "grid": "signals lie on a grid",
    "points": "signals have points of their own",
    "rays": "signals have views of their own",
}


def augmented(
    values: Tensor,
    where: Tensor | None,
    augmentations: Sequence[SignalAugmentation],
    generators: Iterable[torch.Generator],
) -> tuple[Tensor, Tensor | None]:
    """Signals after all augmentations, in order.

    Args:
        values: (B, K, C); not modified.
        where: places (B, K, R) of the signals' own; None for a grid.
        augmentations: of such signals.
        generators: one for each signal.

    Returns:
        Values (B, K, C), and places (B, K, R) or None.
    """
    changed = []
    for row, generator in enumerate(generators):
        signal: tuple[Tensor, Tensor | None] = (values[row], None if where is None else where[row])
        for augmentation in augmentations:
            signal = augmentation.changed(*signal, generator)
        changed.append(signal)
    places = [place for _, place in changed if place is not None]
    return torch.stack([each for each, _ in changed]), torch.stack(places) if places else None
