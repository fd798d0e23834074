"""Architectures, one file for each. This file holds their base class.

An INR is a function, `values = inr(weights, coords)`: batched over weights, no state, no device, no mode. The same call
serves fitting, rendering, hypernetwork decoding and every symmetry test.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, H hidden.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.array_namespace import array_namespace
from inrzoo.errors import InrzooError
from inrzoo.formula import Formula
from inrzoo.inrs._activations import activations
from inrzoo.inrs._symmetries import permute_randomly
from inrzoo.lazy import lazy
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

Array = TypeVar("Array", bound=Any)
"""A tensor of torch, or an array of numpy or jax."""


@dataclass(frozen=True, kw_only=True)
class Perceptron:
    """Describes a multilayer perceptron to the engines that fit it.

    v ← x or its features; v ← σ(a_i W_i v + c_i b_i) for every hidden layer i; f = W v + b + offset, with the layout
    `weight_0`, `bias_0`, `weight_1`, … of torch's `nn.Linear`s.

    Attributes:
        activation: σ.
        weight_factors, bias_factors: a_i and c_i.
        num_inputs: inputs of the first layer.
        hidden_features: neurons of a hidden layer.
        num_hidden: number of hidden layers.
        out_features: C.
        output_offset: added to every channel.
        inputs: coordinates (K, D) to inputs of the first layer (K, num_inputs).
    """

    activation: Literal["sine", "relu"]
    weight_factors: tuple[float, ...]
    bias_factors: tuple[float, ...]
    num_inputs: int
    hidden_features: int
    num_hidden: int
    out_features: int
    output_offset: float
    inputs: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FilterNetwork:
    """Describes a multiplicative filter network to the engines that fit it.

    The recursion and the layout are those of `inrzoo/inrs/_mfn.py`.

    Attributes:
        in_features: D.
        hidden_features: units of a filter.
        num_filters: number of filters.
        out_features: C.
        gabor: whether filters have an envelope, and `mu` and `gamma` in the layout.
    """

    in_features: int
    hidden_features: int
    num_filters: int
    out_features: int
    gabor: bool


@dataclass(frozen=True, kw_only=True)
class INR(ABC):
    """A family of functions from coordinates to values; a weight vector selects one of them.

    A subclass in `inrzoo/inrs/<name>.py` adds its fields (its configuration), `layout`, `init` and `values`; and, where
    they are known, its symmetries (`random_member`, `canonicalise`), its motions and its initialisation bounds.

    Attributes:
        in_features: D, coordinate dimensions.
        out_features: C, channels of a value.
    """

    in_features: int
    out_features: int

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: a count below 1.
        """
        for key in ("in_features", "out_features"):
            self.require(key, getattr(self, key) >= 1, "at least 1")

    def require(self, key: str, holds: bool, allowed: str) -> None:
        """Raise the one-line error for field `key` unless `holds`."""
        if not holds:
            raise InrzooError(f"{key} = {getattr(self, key)!r} is not allowed; it must be {allowed}")

    @property
    @abstractmethod
    def layout(self) -> WeightLayout:
        """The names, shapes and axes of the tensors in a weight vector of P numbers."""

    @property
    def base_layout(self) -> WeightLayout | None:
        """The names, shapes and axes of the numbers that all INRs share, their base; None for a family without one.

        A family with one has a field `base`, the name of these numbers in `inrzoo.bases`.
        """
        return None

    @property
    def base_weights(self) -> NDArray[np.float32] | None:
        """The numbers of the base, (Q,); None for a family without one.

        Raises:
            InrzooError: this process has not read them.
        """
        return None

    def init_base(self, stream: Stream) -> NDArray[np.float32]:
        """Draw a base to train, (Q,), from its own random stream; for families with a base."""
        raise TypeError(f"{type(self).__name__} has no base")

    @property
    def num_neurons(self) -> int:
        """Number of neurons that an evaluation computes, between coordinates and values."""
        return sum(self.layout.neuron_axes.values())

    @abstractmethod
    def init(self, stream: Stream) -> NDArray[np.float32]:
        """Draw initial weights of one INR, shape (P,), from its own random stream."""

    @abstractmethod
    def values(self, weights_BP: Tensor, coords_BKD: Tensor) -> Tensor:
        """Return the values of B functions, (B, K, C); `coords_BKD` may be an expanded view of one shared grid.

        Written with the functions of `inrzoo.array_namespace` it takes arrays of numpy and jax, too.
        """

    def init_bounds(self) -> dict[str, float]:
        """Return the bound b of every tensor that `init` draws from the uniform distribution U(±b)."""
        return {}

    def random_member(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Apply a random instance of every symmetry that `canonicalise` removes: other weights of the same functions.

        The base class permutes neurons; a family with more symmetries extends this method.

        Args:
            weights: (..., P).
            generator: random generator, on any device.

        Returns:
            (..., P), with other random draws for every INR.
        """
        return permute_randomly(self.layout, weights, generator)

    def canonicalise(self, weights: Tensor) -> Tensor:
        """Return one member of each symmetry orbit: the same function, equal for all members, idempotent.

        Args:
            weights: (..., P).

        Returns:
            (..., P), each INR independently; output neurons keep their order and sign.

        Raises:
            InrzooError: the family does not define a canonical form.
        """
        raise InrzooError(f"{type(self).__name__} has no canonical form: it does not define canonicalise")

    def transform_coords(self, weights: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
        """Return the weights of the moved signal f(g⁻¹(x)) with g(x) = A x + t, exact for every x.

        See docs/derivations/augmentation.md#moving-the-signal.

        Args:
            weights: (..., P).
            matrix: A, invertible, (D, D) or (..., D, D) in the order of the INR's own coordinates.
            shift: t, (D,) or (..., D), in coordinate units.

        Returns:
            (..., P).

        Raises:
            InrzooError: the family is not closed under this A (GaborNet: shear), or does not define this method; the
                message says which A are allowed.
        """
        raise InrzooError(f"{type(self).__name__} cannot be moved exactly: it does not define transform_coords")

    def filter_frequencies(self, weights: Tensor) -> list[Tensor] | None:
        """Return the filter matrices of an MFN, each (..., filters, D) in radians per coordinate unit.

        None for a family without a frequency bound (SIREN: the sine of a sine has infinitely many harmonics).
        """
        return None

    def formula(self) -> Formula | None:
        """Return how weights and a coordinate become a value, as data; None for a family that does not say.

        Stores and Parquet files record it, so that they are read without inrzoo.
        """
        return None

    def activations(self, weights: Tensor, coords: Tensor) -> dict[str, Tensor]:
        """Return what each neuron says at coordinates, by `formula`, for tensors of torch.

        Args:
            weights: (B, P).
            coords: (K, D).

        Returns:
            (B, K, neurons) by the axis of the layout. Axis `in` has the coordinates, or their encoding, `out` the
            values of the INR. A unit of a filter network says the product of its filter with the layer before.

        Raises:
            InrzooError: the family has no formula.
        """
        formula = self.formula()
        if formula is None:
            raise InrzooError(f"{type(self).__name__} does not say what its neurons say: it does not define formula")
        base = self.base_weights
        base_Q = None if base is None else torch.as_tensor(base).to(weights)
        return activations(formula, self.layout, weights, coords, self.base_layout, base_Q)

    def kernel(self) -> Perceptron | FilterNetwork | None:
        """Return the description that native kernels fit; None for a family without one."""
        return None

    def __call__(self, weights: Array, coords: Array) -> Array:
        """Evaluate INRs at coordinates: tensors of torch, or arrays of numpy or jax.

        Args:
            weights: (..., P); leading dimensions count INRs.
            coords: (K, D), the same for all, or (..., K, D) with the leading dimensions of `weights`; of the library,
                the device and the dtype of `weights`.

        Returns:
            (..., K, C), of the same library, device and dtype; by torch and jax differentiable in both arguments.

        Raises:
            ValueError: shapes that do not fit the layout or each other.
            TypeError: weights and coordinates are of two libraries.

        Example:
            >>> inr = Siren(in_features=2, out_features=1)
            >>> inr(np.zeros((5, inr.layout.num_params)), np.zeros((64, 2))).shape
            (5, 64, 1)
        """
        xp = array_namespace(weights, coords)
        if weights.shape[-1] != self.layout.num_params or coords.shape[-1] != self.in_features:
            raise ValueError(
                f"weights {tuple(weights.shape)} and coords {tuple(coords.shape)} do not fit an INR of "
                f"{self.layout.num_params} parameters and {self.in_features} coordinate dimensions"
            )
        lead = tuple(weights.shape[:-1])
        if coords.ndim > 2 and tuple(coords.shape[:-2]) != lead:
            raise ValueError(f"coords {tuple(coords.shape)} have other leading dimensions than weights {lead}")
        weights_BP = weights.reshape(-1, weights.shape[-1])
        coords_BKD = xp.broadcast_to(coords, (*lead, *coords.shape[-2:])).reshape(-1, *coords.shape[-2:])
        values_BKC: Any = self.values(weights_BP, coords_BKD)
        return values_BKC.reshape(*lead, *values_BKC.shape[1:])  # type: ignore[no-any-return]


# A base class for other rooms; it extends INR, so it is imported last.
from inrzoo.inrs._mfn import MultiplicativeFilterNetwork  # noqa: E402

__all__ = ["INR", "FilterNetwork", "MultiplicativeFilterNetwork", "Perceptron", "permute_randomly"]
