"""DWSNet, deep weight-space layers: Navon et al. 2023, "Equivariant architectures for learning in deep weight spaces"
(arXiv 2301.12780), Sec. 5, with the blocks and sizes of the authors' code for MNIST. Formulas and where we differ:
docs/derivations/encoders.md#dws.

Shape letters: B INRs, P parameters of one INR, N neurons of an axis, C features of a number.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from inrzoo.encoders import Encoder
from inrzoo.encoders._equivariant_linear import Place, at_place, place_of, spread
from inrzoo.errors import InrzooError
from inrzoo.weights import FIXED_AXES, WeightLayout, WeightTensor

Reduction = Literal["max", "mean", "sum"]
SetLayer = Literal["sab", "ds"]


class Dws(Encoder):
    """DWS layers with batch norm and ReLU between them, then a maximum over the neurons of each tensor.

    A layer has a block for each pair of tensors. It pools over the axes that the second lacks, maps what is left, and
    repeats it along the axes that the first lacks. Where one axis is shared the map is attention between its neurons
    (`sab`, as in the authors' trainer), or linear with a term of the whole set (`ds`, as in the paper). It is linear
    where no axis is shared, and has the four terms of a set of sets from a hidden matrix to itself. With `ds` and means
    a layer is the general equivariant linear map, as in `nfn`; with maxima and attention it is more than linear.

    What is pooled are the features, and the last linear layer of the authors' network is that of the task.

    Args:
        layout: layout of the weights.
        hidden_features: C.
        num_layers: number of DWS layers.
        reduction: how neurons are pooled: `max`, `mean` or `sum`.
        set_layer: `sab` (set attention blocks) or `ds` (deep sets).
        num_heads: `sab`: number of attention heads, a divisor of C; one in the last layer.
        batch_norm: whether numbers are normalised by batch norm between layers.
        dropout: dropout probability after each layer.

    Attributes:
        out_features: C for each tensor, and for each coordinate and channel of one that has those.

    Raises:
        InrzooError: a tensor has the same axis twice or three axes of neurons, or an argument is out of range.
    """

    symmetries = ("permutation",)

    def __init__(
        self,
        *,
        layout: WeightLayout,
        hidden_features: int = 32,
        num_layers: int = 5,
        reduction: Reduction = "max",
        set_layer: SetLayer = "sab",
        num_heads: int = 8,
        batch_norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(layout)
        self.require_counts(num_layers=num_layers, num_heads=num_heads)
        divides = hidden_features >= 1 and (set_layer == "ds" or hidden_features % num_heads == 0)
        self.require("hidden_features", hidden_features, divides, f"a multiple of num_heads = {num_heads}")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        for tensor in layout.tensors:
            if len(set(tensor.axes)) < len(tensor.axes) or len(place_of(tensor.axes)) > 2:
                raise InrzooError(
                    f"{tensor.name} has the axes {tensor.axes}; dws takes up to two axes of neurons, once each"
                )
        self.reduction, self.hidden_features = reduction, hidden_features
        self.layers = nn.ModuleList(
            DwsLayer(
                layout,
                hidden_features if i else 1,
                hidden_features,
                reduction,
                set_layer,
                num_heads if i < num_layers - 1 else 1,
            )
            for i in range(num_layers)
        )
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.BatchNorm1d(hidden_features) if batch_norm else nn.Identity() for _ in layout.tensors)
            for _ in range(num_layers - 1)
        )
        self.dropout = nn.Dropout(dropout)
        self.out_features = hidden_features * sum(map(fixed_size, layout.tensors))

    def forward(self, weights: Tensor) -> Tensor:
        """Return the features (B, out_features) of weights (B, P)."""
        states = [
            at_place(values[..., None], tensor.axes)
            for tensor, values in zip(self.layout.tensors, self.layout.split(weights).values(), strict=True)
        ]
        for layer, norms in zip(self.layers, [*self.norms, None], strict=True):
            states = layer(states)
            if norms is not None:
                states = [
                    _normalised(norm, state, self.hidden_features) for norm, state in zip(norms, states, strict=True)
                ]
            states = [self.dropout(state.relu()) for state in states]
        pooled = [reduced(state, list(range(1, state.ndim - 1)), self.reduction) for state in states]
        return torch.cat(pooled, dim=-1)


class DwsLayer(nn.Module):
    """The sum of the blocks of all pairs of tensors, divided by the number of tensors.

    Args:
        layout: layout of the weights.
        inputs, features: number of features of a number, before and after.
        reduction, set_layer, num_heads: see `Dws`.
    """

    def __init__(
        self,
        layout: WeightLayout,
        inputs: int,
        features: int,
        reduction: Reduction,
        set_layer: SetLayer,
        num_heads: int,
    ) -> None:
        super().__init__()
        self.reduction = reduction
        self.places = [place_of(tensor.axes) for tensor in layout.tensors]
        sizes = [fixed_size(tensor) for tensor in layout.tensors]
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                _block(source, target, inputs * sizes[j], features * sizes[i], reduction, set_layer, num_heads)
                for j, source in enumerate(self.places)
            )
            for i, target in enumerate(self.places)
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):  # Xavier's, times √(2 in/out)
                fan_in, fan_out = module.in_features, module.out_features
                nn.init.normal_(module.weight, std=2 * math.sqrt(fan_in / (fan_out * (fan_in + fan_out))))
                if module.bias is not None:
                    nn.init.uniform_(module.bias, -1e-4, 1e-4)

    def forward(self, states: list[Tensor]) -> list[Tensor]:
        """Map the numbers of all tensors, (B, *neurons, C) each, to new ones."""
        pooled: dict[tuple[int, Place], Tensor] = {}
        new = []
        for target, blocks in zip(self.places, self.blocks, strict=True):
            terms = []
            for j, (source, block) in enumerate(zip(self.places, blocks, strict=True)):  # type: ignore[call-overload]
                shared = tuple(axis for axis in source if axis in target)
                if (j, shared) not in pooled:
                    over = [1 + i for i, axis in enumerate(source) if axis not in shared]
                    pooled[j, shared] = reduced(states[j], over, self.reduction)
                terms.append(spread(block(pooled[j, shared]), shared, target))
            new.append(sum(terms[1:], start=terms[0]) / len(self.places))
        return new


class SetAttention(nn.Module):
    """q + softmax(q kᵀ / √F) v between the members of a set, in heads, then x + ReLU(Linear(x)): `SAB` of Lee et al.
    2019, "Set transformer" (arXiv 1810.00825), without layer norm.

    Args:
        inputs, outputs: number of features before and after; F is the latter.
        num_heads: number of heads, a divisor of F.
    """

    def __init__(self, inputs: int, outputs: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query, self.key, self.value = (nn.Linear(inputs, outputs) for _ in range(3))
        self.out = nn.Linear(outputs, outputs)

    def forward(self, members_BNC: Tensor) -> Tensor:
        """Return the new members, (B, N, F)."""
        query, key, value = (
            linear(members_BNC).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        scale = math.sqrt(self.out.in_features)
        attended = query + (query @ key.mT / scale).softmax(-1) @ value
        joined = attended.transpose(1, 2).flatten(2)
        new: Tensor = joined + functional.relu(self.out(joined))
        return new


class DeepSet(nn.Module):
    """x ↦ Γ x + γ − Λ pool(x) for each member of a set: Zaheer et al. 2017, "Deep sets" (arXiv 1703.06114)."""

    def __init__(self, inputs: int, outputs: int, reduction: Reduction) -> None:
        super().__init__()
        self.reduction = reduction
        self.each, self.whole = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs, bias=False)

    def forward(self, members_BNC: Tensor) -> Tensor:
        """Return the new members, (B, N, F)."""
        new: Tensor = self.each(members_BNC) - self.whole(reduced(members_BNC, [1], self.reduction))[:, None]
        return new


class SetOfSets(nn.Module):
    """The mean of linear maps of a matrix, its pooled rows, its pooled columns and all of it (Hartford et al. 2018,
    arXiv 1803.02879)."""

    def __init__(self, inputs: int, outputs: int, reduction: Reduction) -> None:
        super().__init__()
        self.reduction = reduction
        self.all, self.rows, self.columns, self.both = (nn.Linear(inputs, outputs) for _ in range(4))

    def forward(self, matrix_BNNC: Tensor) -> Tensor:
        """Return the new matrix, (B, N, N, F)."""
        rows = self.rows(reduced(matrix_BNNC, [1], self.reduction))[:, None]
        columns = self.columns(reduced(matrix_BNNC, [2], self.reduction))[:, :, None]
        both = self.both(reduced(matrix_BNNC, [1, 2], self.reduction))[:, None, None]
        return (self.all(matrix_BNNC) + rows + columns + both) / 4  # type: ignore[no-any-return]


def reduced(values: Tensor, over: list[int], reduction: Reduction) -> Tensor:
    """Pool over some dimensions, if any."""
    if not over:
        return values
    if reduction == "max":
        return values.amax(over)
    return values.mean(over) if reduction == "mean" else values.sum(over)


def fixed_size(tensor: WeightTensor) -> int:
    """Return the number of entries of a tensor along axes that are not renumbered."""
    return math.prod(size for axis, size in zip(tensor.axes, tensor.shape, strict=True) if axis in FIXED_AXES)


def _block(
    source: Place, target: Place, inputs: int, outputs: int, reduction: Reduction, set_layer: SetLayer, num_heads: int
) -> nn.Module:
    """Make the map of what two tensors share."""
    shared = set(source) & set(target)
    if not shared:
        return nn.Linear(inputs, outputs)
    if len(shared) == 2:
        return SetOfSets(inputs, outputs, reduction)
    return SetAttention(inputs, outputs, num_heads) if set_layer == "sab" else DeepSet(inputs, outputs, reduction)


def _normalised(norm: nn.Module, state: Tensor, features: int) -> Tensor:
    """Apply batch norm to the features of every number, (B, *neurons, kept · C)."""
    normed: Tensor = norm(state.reshape(-1, features))
    return normed.reshape(state.shape)
