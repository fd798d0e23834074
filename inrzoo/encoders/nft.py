"""NFT, a transformer on numbers: Zhou et al. 2023, "Neural functional transformers" (arXiv 2305.13546), Sec. 3, with
the sizes of INR2ARRAY's encoder in the authors' code, and their cross-attention head. Formulas and where we differ:
docs/derivations/encoders.md#nft.

Shape letters: B INRs, P parameters of one INR, H heads, C features of a number, N size of an axis, T vectors along it,
L tensors, M latents, F features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from inrzoo.encoders.nfn import FourierNumbers
from inrzoo.weights import FIXED_AXES, WeightLayout, WeightTensor


@dataclass(kw_only=True, eq=False, repr=False)
class Nft(FourierNumbers):
    """Blocks of weight-space self-attention, then latents that attend to all numbers, and two linear layers with ReLU.

    The attention of a block is between the vectors along an axis: the columns of the matrix into a layer of neurons,
    its bias, and the rows of the matrix behind it. Their products run over all neurons of the layer, so that no
    renumbering matters. Means of all tensors attend to each other, too. Learned vectors tell tensors, coordinates and
    channels apart; by themselves blocks are equivariant to renumbering those as well.

    The authors feed weights as they were fitted: `normalise = "none"` with `sigma = 3`. The default `sigma` suits
    normalised weights. The published size takes 5.6 G multiply-adds for one SIREN 2/32/32/1.

    Attributes:
        hidden_features: C.
        num_layers: number of blocks.
        num_heads: number of attention heads, a divisor of C.
        feedforward_factor: hidden neurons of a block's MLP, in units of C.
        num_latents: M.
        latent_features: features of a latent.
        num_frequencies: half the number of Fourier features of a number, of which a linear map makes C; none, as
            published, if those are C.
        dropout: dropout probability of attention, blocks and head.
    """

    hidden_features: int = 256
    num_layers: int = 6
    num_heads: int = 4
    feedforward_factor: int = 4
    num_latents: int = 16
    latent_features: int = 256

    def __post_init__(self) -> None:
        """Make the blocks, the latents and the head."""
        super().__post_init__()
        C, heads, layout = self.hidden_features, self.num_heads, self.layout
        self.require_counts(num_layers=self.num_layers, num_heads=heads, feedforward_factor=self.feedforward_factor)
        self.require_counts(num_latents=self.num_latents, latent_features=self.latent_features)
        self.require("hidden_features", C, C >= 1 and C % heads == 0, f"a multiple of num_heads = {heads}")
        self.require_distinct_axes("nft")
        same = self.fourier.out_features == C
        self.embed = nn.Identity() if same else nn.Linear(self.fourier.out_features, C)
        self.tensor_vectors = nn.Parameter(torch.randn(len(layout.tensors), C))
        self.axis_vectors = nn.ParameterDict(
            {axis: torch.randn(size, C) for axis, size in layout.axes.items() if axis in FIXED_AXES}
        )
        self.blocks = nn.ModuleList(
            Block(layout, C, heads, self.feedforward_factor, self.dropout) for _ in range(self.num_layers)
        )
        self.latents = CrossAttention(self.num_latents, self.latent_features, C, self.dropout)
        self.make_head(self.num_latents * self.latent_features)

    def pooled(self, weights: Tensor) -> Tensor:
        """Return what the latents read, (B, M · latent features)."""
        states = self.embedded(weights)
        for block in self.blocks:
            states = block(states)
        attended: Tensor = self.latents(torch.cat([state.flatten(1, -2) for state in states], dim=1))
        return attended.flatten(1)

    def embedded(self, weights: Tensor) -> list[Tensor]:
        """Return the first features of the numbers of each tensor, (B, *axes, C)."""
        states = []
        tensors = self.layout.split(weights).values()
        for tensor, values, vector in zip(self.layout.tensors, tensors, self.tensor_vectors, strict=True):
            state = self.embed(self.fourier(values)) + vector
            for i, axis in enumerate(tensor.axes):
                if axis in FIXED_AXES:
                    state = state + self.axis_vectors[axis].unflatten(0, (-1, *[1] * (len(tensor.axes) - 1 - i)))
            states.append(state)
        return states


class Block(nn.Module):
    """x ← x + attention(LN(x)), x ← x + MLP(LN(x)); norms and MLPs are those of a tensor, the attention of all.

    Args:
        layout: layout of the weights.
        features, num_heads, feedforward_factor, dropout: see `Nft`.
    """

    def __init__(
        self, layout: WeightLayout, features: int, num_heads: int, feedforward_factor: int, dropout: float
    ) -> None:
        super().__init__()
        self.attention = WeightSpaceAttention(layout.tensors, features, num_heads, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in layout.tensors)
        self.mlp_norms = nn.ModuleList(nn.LayerNorm(features) for _ in layout.tensors)
        wide = feedforward_factor * features
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(features, wide), nn.GELU(), nn.Linear(wide, features), nn.Dropout(dropout))
            for _ in layout.tensors
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: list[Tensor]) -> list[Tensor]:
        """Map the features of all numbers, (B, *axes, C) for each tensor, to new ones."""
        changes = self.attention([norm(state) for norm, state in zip(self.norms, states, strict=True)])
        states = [state + self.dropout(change) for state, change in zip(states, changes, strict=True)]
        parts = zip(states, self.mlp_norms, self.mlps, strict=True)
        return [state + mlp(norm(state)) for state, norm, mlp in parts]


class WeightSpaceAttention(nn.Module):
    """Attention between the vectors along each axis, and between the means of tensors, with one projection for all.

    Args:
        tensors: of the layout.
        features: C.
        num_heads: H.
        dropout: dropout probability of the attention along axes.
    """

    def __init__(self, tensors: tuple[WeightTensor, ...], features: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.tensors, self.num_heads = tensors, num_heads
        self.axes = list(dict.fromkeys(axis for tensor in tensors for axis in tensor.axes))
        self.project = nn.Linear(features, 3 * features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: list[Tensor]) -> list[Tensor]:
        """Return the sum of what the numbers of each tensor receive, (B, *axes, C)."""
        projected = [self.project(state) for state in states]
        means_BL3C = torch.stack([numbers.flatten(1, -2).mean(1) for numbers in projected], dim=1)
        shared_BLC = self._attend(means_BL3C[:, :, None])[:, :, 0]
        received = [
            mean_BC.reshape(len(mean_BC), *[1] * len(tensor.axes), -1)
            for mean_BC, tensor in zip(shared_BLC.unbind(1), self.tensors, strict=True)
        ]
        for axis in self.axes:
            owners = [i for i, tensor in enumerate(self.tensors) if axis in tensor.axes]
            places = [1 + self.tensors[i].axes.index(axis) for i in owners]
            vectors = [  # along the axis, (B, T, N, 3 C)
                (along := projected[i].movedim(place, -2)).reshape(len(along), -1, *along.shape[-2:])
                for i, place in zip(owners, places, strict=True)
            ]
            new = self._attend(torch.cat(vectors, dim=1), self.dropout)
            for i, place, part in zip(owners, places, new.split([each.shape[1] for each in vectors], 1), strict=True):
                others = projected[i].movedim(place, -2).shape[1:-2]
                part = part.reshape(len(part), *others, *part.shape[-2:])
                received[i] = received[i] + part.movedim(-2, place)
        return received

    def _attend(self, vectors_BTN3C: Tensor, dropout: nn.Module | None = None) -> Tensor:
        """Return what T vectors of N places receive from each other, (B, T, N, C)."""
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).permute(0, 3, 1, 2, 4)  # (B, H, T, N, C / H)
            for part in vectors_BTN3C.chunk(3, dim=-1)
        )
        flat = value.flatten(3)
        weight_BHTT = (query.flatten(3) @ key.flatten(3).mT / math.sqrt(flat.shape[-1])).softmax(-1)
        weight_BHTT = weight_BHTT if dropout is None else dropout(weight_BHTT)
        attended: Tensor = (weight_BHTT @ flat).unflatten(-1, value.shape[3:]).permute(0, 2, 3, 1, 4).flatten(3)
        return attended


class CrossAttention(nn.Module):
    """Learned latents that attend to a set in one head, then a gated MLP: Jaegle et al. 2021, "Perceiver" (arXiv
    2103.03206).

    Args:
        num_latents: M.
        features: features of a latent.
        inputs: features of a member of the set, and of queries, keys and values.
        dropout: dropout probability.
    """

    def __init__(self, num_latents: int, features: int, inputs: int, dropout: float) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(num_latents, features))
        self.norm, self.input_norm, self.mlp_norm = nn.LayerNorm(features), nn.LayerNorm(inputs), nn.LayerNorm(features)
        self.query = nn.Linear(features, inputs, bias=False)
        self.key_value = nn.Linear(inputs, 2 * inputs, bias=False)
        self.out = nn.Linear(inputs, features)
        self.gated, self.mlp_out = nn.Linear(features, 8 * features), nn.Linear(4 * features, features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, members_BNC: Tensor) -> Tensor:
        """Return the latents (B, M, features) that have read N members."""
        key_BNC, value_BNC = self.key_value(self.input_norm(members_BNC)).chunk(2, dim=-1)
        query_MC = self.query(self.norm(self.latents))
        weight_BMN = (query_MC @ key_BNC.mT / math.sqrt(key_BNC.shape[-1])).softmax(-1)
        latents = self.latents + self.out(self.dropout(weight_BMN) @ value_BNC)
        values, gates = self.gated(self.mlp_norm(latents)).chunk(2, dim=-1)
        new: Tensor = latents + self.dropout(self.mlp_out(values * functional.gelu(gates)))
        return new
