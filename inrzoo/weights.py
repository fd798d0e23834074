"""`WeightLayout` defines the meaning of the P numbers of a weight vector; no other code does.

An INR's weights are one flat vector; the layout names the tensors in it and the axes of every tensor. Axes of the same
name run over the same neurons, so splitting, joining, permuting neurons and per-tensor statistics all follow from
this one declaration. It works on arrays of numpy and of jax and on torch tensors.

Shape letters: P parameters of one INR; leading dimensions are free.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inrzoo.array_namespace import array_namespace, take_along_axis

FIXED_AXES = ("in", "out", "latent")
"""Axes whose order matters: coordinates, channels and the numbers of a latent are never permuted."""


@dataclass(frozen=True)
class WeightTensor:
    """One named tensor of a layout.

    Attributes:
        name: unique inside the layout.
        shape: sizes of its axes.
        axes: names of its axes. Those not in `FIXED_AXES` run over interchangeable neurons.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of parameters."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class WeightLayout:
    """Named tensors with named axes, concatenated in one flat vector.

    Example:
        >>> layout = WeightLayout((WeightTensor("weight_0", (32, 2), ("hidden_0", "in")),
        ...                        WeightTensor("bias_0", (32,), ("hidden_0",))))
        >>> layout.num_params
        96
    """

    tensors: tuple[WeightTensor, ...]

    def __post_init__(self) -> None:
        """Reject inconsistent layouts.

        Raises:
            ValueError: two tensors have the same name, or one axis has two sizes.
        """
        if len({tensor.name for tensor in self.tensors}) != len(self.tensors):
            raise ValueError(f"tensor names must be unique: {[tensor.name for tensor in self.tensors]}")
        sizes: dict[str, int] = {}
        for tensor in self.tensors:
            for axis, size in zip(tensor.axes, tensor.shape, strict=True):
                if sizes.setdefault(axis, size) != size:
                    raise ValueError(f"axis {axis!r} of {tensor.name!r} has size {size}, elsewhere {sizes[axis]}")

    @cached_property
    def num_params(self) -> int:
        """P, the number of parameters of one INR."""
        return sum(tensor.size for tensor in self.tensors)

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Index of the first number of each tensor in the flat vector."""
        ends = np.cumsum([tensor.size for tensor in self.tensors])
        return {tensor.name: int(end) - tensor.size for tensor, end in zip(self.tensors, ends, strict=True)}

    @cached_property
    def axes(self) -> dict[str, int]:
        """Size of every axis, in order of appearance."""
        return {axis: size for tensor in self.tensors for axis, size in zip(tensor.axes, tensor.shape, strict=True)}

    @property
    def neuron_axes(self) -> dict[str, int]:
        """Size of every axis whose neurons are interchangeable."""
        return {axis: size for axis, size in self.axes.items() if axis not in FIXED_AXES}

    def split(self, weights: Any) -> dict[str, Any]:
        """Return views of the tensors in `weights`.

        Args:
            weights: array or tensor, shape (..., P).

        Returns:
            Tensors (..., *shape) by name.

        Raises:
            ValueError: the last dimension is not P.
        """
        if weights.shape[-1] != self.num_params:
            raise ValueError(f"weights have {weights.shape[-1]} parameters, the layout has {self.num_params}")
        parts = {}
        for tensor in self.tensors:
            start = self.offsets[tensor.name]
            flat = weights[..., start : start + tensor.size]
            parts[tensor.name] = flat.reshape((*weights.shape[:-1], *tensor.shape))
        return parts

    def join(self, tensors: Mapping[str, Any]) -> Any:
        """Concatenate named tensors to the flat vector; the inverse of `split`.

        Args:
            tensors: tensors (..., *shape) by name, all of one library.

        Returns:
            Shape (..., P).
        """
        flat = []
        for tensor in self.tensors:
            part = tensors[tensor.name]
            lead = part.shape[: part.ndim - len(tensor.shape)]
            flat.append(part.reshape((*lead, tensor.size)))
        return array_namespace(*flat).concat(flat, axis=-1)

    def require_neurons(self, axis: str) -> None:
        """Raise ValueError unless `axis` runs over interchangeable neurons."""
        if axis not in self.neuron_axes:
            raise ValueError(f"axis {axis!r} cannot be permuted; these can: {', '.join(self.neuron_axes)}")

    def permutation(self, orders: Mapping[str, ArrayLike]) -> NDArray[np.int64]:
        """Return the flat index that renumbers neurons: `weights[..., index]`.

        Args:
            orders: order by neuron axis; new neuron `i` is old neuron `order[i]`, in every tensor with that axis.

        Returns:
            Shape (P,), int64.

        Raises:
            ValueError: an axis is fixed or absent, or its order is not a permutation.
        """
        for axis, order in orders.items():
            self.require_neurons(axis)
            if sorted(np.asarray(order).tolist()) != list(range(self.axes[axis])):
                raise ValueError(f"the order given for {axis!r} is not a permutation of {self.axes[axis]} neurons")
        parts = self.split(np.arange(self.num_params))
        for tensor in self.tensors:
            for dimension, axis in enumerate(tensor.axes):
                if axis in orders:
                    parts[tensor.name] = np.take(parts[tensor.name], np.asarray(orders[axis]), axis=dimension)
        index: NDArray[np.int64] = self.join(parts)
        return index

    def permute(self, weights: Any, orders: Mapping[str, ArrayLike]) -> Any:
        """Renumber neurons, which keeps the function; see `permutation`. Shape (..., P) to (..., P)."""
        return weights[..., self.permutation(orders)]

    def permute_each(self, weights: Any, orders: Mapping[str, Any]) -> Any:
        """Renumber the neurons of every INR of a batch differently.

        Args:
            weights: (..., P), array or tensor.
            orders: orders by neuron axis as in `permutation`, one for each INR: (..., size of the axis), int64, with
                the type and the leading dimensions of `weights`.

        Returns:
            (..., P).

        Raises:
            ValueError: an axis is fixed or absent, or its orders are not permutations.
        """
        for axis, order in orders.items():
            self.require_neurons(axis)
            ranks = take_along_axis(order, order.argsort(-1), -1)
            consecutive = (ranks[..., :1] == 0).all() and (ranks[..., 1:] - ranks[..., :-1] == 1).all()
            if tuple(order.shape) != (*weights.shape[:-1], self.axes[axis]) or not consecutive:
                raise ValueError(
                    f"orders {tuple(order.shape)} given for {axis!r} are not permutations of {self.axes[axis]} neurons "
                    f"for weights {tuple(weights.shape)}"
                )
        parts = self.split(weights)
        for tensor in self.tensors:
            for dimension, axis in enumerate(tensor.axes):
                if axis in orders:
                    before, after = [1] * dimension, [1] * (len(tensor.axes) - dimension - 1)
                    index = orders[axis].reshape((*weights.shape[:-1], *before, self.axes[axis], *after))
                    parts[tensor.name] = take_along_axis(parts[tensor.name], index, -1 - len(after))
        return self.join(parts)

    def to_json(self) -> list[dict[str, Any]]:
        """Return what a store records: one table for each tensor, in order."""
        return [
            {
                "name": tensor.name,
                "shape": list(tensor.shape),
                "axes": list(tensor.axes),
                "offset": self.offsets[tensor.name],
            }
            for tensor in self.tensors
        ]

    @classmethod
    def from_json(cls, tables: list[dict[str, Any]]) -> WeightLayout:
        """Read a layout from the tables of `to_json`."""
        return cls(tuple(WeightTensor(table["name"], tuple(table["shape"]), tuple(table["axes"])) for table in tables))
