"""Data tokens and weight tokens in one transformer, as in TransINR and GINR-IPC.

Shape letters: B batch of signals, K coordinates, C channels, T data tokens, G weight tokens, R of them of a matrix, F
features of a token, A attention heads, I numbers of the instance part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor, nn

from inrzoo.encoders.weight_transformer import Transformer
from inrzoo.errors import InrzooError
from inrzoo.hypernets.contract import Hypernet
from inrzoo.hypernets.tokens.patches import PatchTokens
from inrzoo.volume_rendering import VolumeRenderer

GRID_PATCH, VIEW_PATCH = 9, 8
"""Points of a patch along each axis of a grid, and of a posed view, by default: those of TransINR and GINR-IPC."""
RAY_NUMBERS = 6
"""Numbers of a ray, which a token of a view has beside the colours: origin and direction."""


@dataclass(kw_only=True, eq=False, repr=False)
class TokenHypernet(Hypernet):
    """A hypernetwork whose instance part is read off learned weight tokens that attend to the signal's patches.

    Data tokens and weight tokens pass the transformer in one sequence with full attention (TransINR Sec. 3.3, GINR-IPC
    Sec. 3.3). Weight tokens are initialised as N(0, 1).

    LayerNorm and a linear layer of each matrix turn what the transformer says at a weight token into a row. The
    defaults are those of the papers and their code.

    Attributes:
        inr: any INR.
        sizes: grid of the signals, slowest axis first.
        patch: points of a patch, along all axes or along each; 9 by default, of posed views 8.
        channels: channels of the signals; those of the INR by default, of posed views colours and rays.
        views: whether signals are posed views of the grid `sizes`, any number of them; given by the data and not by the
            user. A token then has the colours and the rays of a patch, and no position.
        features: features of a token.
        num_layers: blocks of the encoder.
        num_heads: attention heads, each of F / num_heads features.
        mlp_features: hidden neurons of a block's MLP.
        dropout: of the residual branches, in training.
        qkv_bias: whether queries, keys and values have biases.
        token_names: G names; the matrix of the INR that each weight token makes a row of.
    """

    needs_grid = True
    qkv_bias: ClassVar[bool] = False

    patch: int | tuple[int, ...] | None = None
    channels: int | None = None
    views: bool = False
    features: int = 768
    num_layers: int = 6
    num_heads: int = 12
    mlp_features: int = 3072
    dropout: float = 0.0

    def make_tokens(self, counts: Mapping[str, int]) -> None:
        """Make both kinds of tokens and the transformer, of `counts` rows of each matrix.

        Raises:
            InrzooError: the heads do not divide the features, or the patch is impossible.
        """
        F, views, channels = self.features, self.views, self.inr.out_features
        if min(F, self.num_layers, self.num_heads, self.mlp_features) < 1 or F % self.num_heads:
            raise InrzooError(
                f"features = {F}, num_layers = {self.num_layers}, num_heads = {self.num_heads}, mlp_features = "
                f"{self.mlp_features} are not allowed; all must be at least 1, and features a multiple of num_heads"
            )
        self.counts = dict(counts)
        self.token_names = [name for name, count in counts.items() for _ in range(count)]
        self.data_tokens = PatchTokens(
            self.sizes,
            self.patch if self.patch is not None else (VIEW_PATCH if views else GRID_PATCH),
            self.channels or (channels - 1 + RAY_NUMBERS if views else channels),
            F,
            positions=not views,
        )
        self.weight_tokens = nn.Parameter(torch.randn(len(self.token_names), F))
        self.transformer = Transformer(
            F,
            self.num_layers,
            self.num_heads,
            F // self.num_heads,
            self.mlp_features,
            qkv_bias=self.qkv_bias,
            dropout=self.dropout,
        )

    def make_heads(self, lengths: Mapping[str, int]) -> None:
        """Make what turns a weight token into a row, given the length of the rows of each matrix."""
        F = self.features
        self.heads = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(F), nn.Linear(F, length)) for name, length in lengths.items()}
        )

    def instances(self, coords: Tensor, values: Tensor) -> Tensor:
        """The rows of all weight tokens, matrix by matrix, (B, I)."""
        outputs = self.weight_token_outputs(self.observed(coords, values)).split(list(self.counts.values()), dim=1)
        heads = zip(self.heads.values(), outputs, strict=True)
        return torch.cat([head(tokens_BRF).flatten(1) for head, tokens_BRF in heads], dim=1)

    def observed(self, coords: Tensor, values: Tensor) -> Tensor:
        """What tokens are made of: values (B, K, C), or of posed views colours and rays, (B, K, C + 6).

        Colours are relative to the background, and rays are divided by the points of a patch. A token's linear map
        could do both, but background and rays, alike in all points of a patch, would add up and drown what differs
        between objects (docs/derivations/hypernetworks.md#novel-views).
        """
        if self.observe is None:
            return values
        background = self.observe.background if isinstance(self.observe, VolumeRenderer) else 0.0
        return torch.cat([values - background, coords / prod(self.data_tokens.patch)], dim=-1)

    def weight_token_outputs(self, values_BKC: Tensor) -> Tensor:
        """Outputs of the transformer for the weight tokens, (B, G, F), from what `observed` returns."""
        outputs_BTF: Tensor = self.transformer(self._tokens(values_BKC))
        return outputs_BTF[:, -len(self.token_names) :]

    def attention_maps(self, values: Tensor, layer: int = -1) -> Tensor:
        """Attention of each weight token to each patch (TransINR Sec. 5, Fig. 7).

        Args:
            values: what `observed` returns.
            layer: number of the block; negative numbers count from the last.

        Returns:
            (B, A, G, *patches along each axis), of posed views (B, A, G, V, *patches along each axis). They sum to less
            than 1: weight tokens attend to each other too.
        """
        maps: Tensor = self.transformer.attention_maps(self._tokens(values), layer)
        num_weights = len(self.token_names)
        to_data: Tensor = maps[:, :, -num_weights:, :-num_weights]
        views = () if self.observe is None else (-1,)
        return torch.unflatten(to_data, -1, (*views, *self.data_tokens.counts))

    def _tokens(self, values_BKC: Tensor) -> Tensor:
        """Data tokens, then weight tokens, (B, T + G, F)."""
        self.require_grid(values_BKC)
        data_BTF = self.data_tokens(values_BKC)
        return torch.cat([data_BTF, self.weight_tokens.expand(len(data_BTF), -1, -1)], dim=1)
