"""Augmentations of weights, one file for each transform. This file holds their base class.

A transform is a frozen dataclass with a call, `transform(weights, generator)`; its fields are its configuration. All
randomness comes from the generator, random draws differ between the INRs of a batch, and the input is not modified. A
transform has no state, device or mode: the loader decides whether to augment.

Motions change the function and are applied before normalisation; noise and dropout change the weights and are applied
after it (docs/derivations/augmentation.md#order).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from inrzoo.inrs import INR
from inrzoo.short_forms import ShortForm, made


@dataclass(frozen=True, kw_only=True)
class Transform(ShortForm, ABC):
    """A random change of weights; a subclass in `inrzoo/loaders/transforms/<name>.py` adds its fields and `__call__`.

    `registry.make("transforms", {"name": …}, inr=inr)` makes it.

    Attributes:
        same_function: whether the transform keeps the function, up to rounding.
        of_normalised: whether it acts on normalised weights; otherwise it acts on weights as they were fitted.
    """

    RUNTIME_FIELDS: ClassVar[tuple[str, ...]] = ("inr", "extent")
    same_function: ClassVar[bool] = False
    of_normalised: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Change every INR by an independent random draw.

        Args:
            weights: (..., P); leading dimensions count INRs.
            generator: random generator, preferably on the device of `weights`.

        Returns:
            (..., P), a new tensor on the device and in the dtype of `weights`.
        """


@dataclass(frozen=True)
class Compose(Transform):
    """Several transforms with the same generator.

    Two motions of the coordinates, g₁ first, give the signal f(g₁⁻¹(g₂⁻¹(x))): moved by g₁, then by g₂.

    Attributes:
        transforms: the transforms in the order of their application.
    """

    transforms: tuple[Transform, ...]

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Apply all transforms. Shape (..., P) to (..., P)."""
        for transform in self.transforms:
            weights = transform(weights, generator)
        return weights


def make_transforms(tables: Sequence[Mapping[str, Any]], inr: INR, extent: float = 1.0) -> tuple[Compose, Compose]:
    """Transforms from their tables, in the order of the tables.

    Args:
        tables: `name` and fields of each transform.
        inr: the family that the weights are of.
        extent: highest coordinate of the signals.

    Returns:
        Those of weights as they were fitted, and those of normalised weights.

    Raises:
        InrzooError: an unknown transform, an unknown field, or an impossible value.

    Example:
        >>> from inrzoo.inrs.siren import Siren
        >>> tables = [{"name": "noise", "std": 0.1}, {"name": "rotate", "degrees": 15.0}]
        >>> as_fitted, normalised = make_transforms(tables, Siren(in_features=2, out_features=1))
        >>> [type(transform).__name__ for transform in (*as_fitted.transforms, *normalised.transforms)]
        ['Rotate', 'Noise']
    """
    transforms: list[Transform] = made("transforms", tables, inr=inr, extent=extent)
    as_fitted = tuple(transform for transform in transforms if not transform.of_normalised)
    return Compose(as_fitted), Compose(tuple(transform for transform in transforms if transform.of_normalised))


def generator_for(
    seed: int, epoch: int, index: int, view: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return the generator of an item in an epoch, a function of its key alone, not of worker, order or global state.

    Keys are hashed as in `seeding.Stream`, so that neighbours are independent. On a CPU torch uses the lower 32 bits of
    a seed: of n keys about n²/2³³ pairs collide, which does not affect the randomness of one item. Generators of CPU
    and GPU differ: the same key gives other numbers.

    Args:
        seed: seed of the training run.
        epoch: number of the epoch.
        index: number of the item in the dataset, not in the epoch.
        view: number of the augmentation of one item.
        device: device of the generator.

    Example:
        >>> first, again = (torch.rand(4, generator=generator_for(0, 3, 1024)) for _ in range(2))
        >>> bool((first == again).all())
        True
    """
    key = json.dumps(["transform", int(seed), int(epoch), int(index), int(view)])
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little"))
