"""Augmentations of weights: one file a transform. This file holds what they share.

A transform is a frozen dataclass that is called, `transform(weights, generator)`; its fields are its configuration.
All its randomness comes from the generator, every INR of a batch gets a draw of its own, and what it was given stays as
it was. It has no state, no device and no mode: whether to augment is the loader's decision.

Geometry moves the function and belongs before a normalisation of the weights; noise and dropout move the weights and
belong after it (docs/derivations/augmentation.md#order).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.errors import InrzooError


@dataclass(frozen=True, kw_only=True)
class Transform(ABC):
    """Random change of weights; a subclass in `inrzoo/loaders/transforms/<name>.py` adds its fields and `__call__`.

    `registry.make("transforms", {"name": …}, inr=inr)` makes it.

    Attributes:
        same_function: whether every draw leaves the function as it is, to rounding.
    """

    same_function: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Change every INR by a draw of its own.

        Args:
            weights: (..., P); leading dimensions count INRs.
            generator: makes the draws, on its own device; best that of `weights`.

        Returns:
            (..., P), new, on the device and in the dtype of `weights`.
        """

    def require(self, key: str, holds: bool, allowed: str) -> None:
        """Raise the one-line error for field `key` unless `holds`."""
        if not holds:
            raise InrzooError(f"{key} = {getattr(self, key)!r} is not allowed; it must be {allowed}")


@dataclass(frozen=True)
class Compose(Transform):
    """One transform after the other, all drawing from the same generator.

    Of two motions of the coordinates, g₁ first, the signal is f(g₁⁻¹(g₂⁻¹(x))): moved by g₁, then by g₂.

    Attributes:
        transforms: the first is applied first.
    """

    transforms: tuple[Transform, ...]

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Apply them all. Shape (..., P) to (..., P)."""
        for transform in self.transforms:
            weights = transform(weights, generator)
        return weights


def generator_for(
    seed: int, epoch: int, index: int, view: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """The generator of one item in one epoch: a function of its key alone, not of worker, order or global state.

    Keys are hashed as by `seeding.Stream`, so that neighbours share nothing. On a CPU torch keeps the lower 32 bits of
    a seed: of n keys about n²/2³³ pairs draw the same, which leaves each item's draws as random as they were. Kinds of
    devices have different generators: the same key draws other numbers on a GPU than on a CPU.

    Args:
        seed: of the training run.
        epoch: passes over the data before this one.
        index: the item's number in the data set, not its place in an epoch.
        view: which of several augmentations of one item.
        device: where the draws are made.

    Example:
        >>> first, again = (torch.rand(4, generator=generator_for(0, 3, 1024)) for _ in range(2))
        >>> bool((first == again).all())
        True
    """
    words = json.dumps(["transform", int(seed), int(epoch), int(index), int(view)])
    digest = hashlib.blake2b(words.encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little"))
