"""Augmentations: weights come in, changed weights go out; one file a transform.

A transform is a frozen dataclass that is called, `transform(weights, generator)`; its fields are its configuration.
All its randomness comes from the generator, every INR of a batch gets its own draw, and the input is not changed. A
transform has no state, no device and no mode: the loader decides whether to augment.

Motions of the signal act on weights as they were fitted; noise and dropout act on normalised weights
(docs/derivations/augmentation.md#order).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR


@dataclass(frozen=True, kw_only=True)
class Transform(ABC):
    """Random change of weights; a subclass in `inrzoo/loaders/transforms/<name>.py` adds its fields and `__call__`.

    `registry.make("transforms", {"name": …}, inr=inr)` makes it.

    Attributes:
        same_function: whether every draw leaves the function as it is, to rounding.
        of_normalised: whether it acts on normalised weights; otherwise it acts on weights as they were fitted.
    """

    same_function: ClassVar[bool] = False
    of_normalised: ClassVar[bool] = False

    @classmethod
    def short_form(cls, value: Any) -> dict[str, Any]:
        """Fields that `NAME=VALUE` stands for: the first field of the class, unless a subclass says otherwise.

        Raises:
            InrzooError: the transform has no fields.
        """
        names = [field.name for field in fields(cls) if field.name != "inr"]
        if not names:
            raise InrzooError("it has no fields")
        return {names[0]: value}

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
    """Transforms in sequence, which draw from the same generator.

    After two motions of the coordinates, g₁ and then g₂, the signal is f(g₁⁻¹(g₂⁻¹(x))).

    Attributes:
        transforms: the first is applied first.
    """

    transforms: tuple[Transform, ...]

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Apply them all. Shape (..., P) to (..., P)."""
        for transform in self.transforms:
            weights = transform(weights, generator)
        return weights


def short_table(name: str, value: Any) -> dict[str, Any]:
    """The table of a transform that is given as `NAME=VALUE`.

    Raises:
        InrzooError: there is no such transform, or it has no fields.

    Example:
        >>> short_table("rotate", 15.0), short_table("scale", 0.5)
        ({'name': 'rotate', 'degrees': 15.0}, {'name': 'scale', 'low': 0.5, 'high': 1.5})
    """
    cls: type[Transform] = registry.find("transforms", name)
    try:
        return {"name": name, **cls.short_form(value)}
    except InrzooError as error:
        raise InrzooError(f"{name}={value} is not allowed: {error}; write {name}") from None


def make_transforms(tables: Sequence[Mapping[str, Any]], inr: INR) -> tuple[Compose, Compose]:
    """Transforms from their tables, in the order of the tables.

    Args:
        tables: `name` and fields of each transform.
        inr: the family that the weights are of.

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
    transforms: list[Transform] = []
    for table in tables:
        try:
            transforms.append(registry.make("transforms", table, inr=inr))
        except InrzooError as error:
            raise InrzooError(f"augment {table.get('name', '')}: {error}") from None
    as_fitted = tuple(transform for transform in transforms if not transform.of_normalised)
    return Compose(as_fitted), Compose(tuple(transform for transform in transforms if transform.of_normalised))


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
