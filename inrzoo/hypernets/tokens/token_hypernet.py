"""Data tokens and weight tokens in one transformer, as in TransINR and GINR-IPC.

Shape letters: B batch of signals, K coordinates, C channels, T data tokens, G weight tokens, F features of a token,
A attention heads.
"""

from math import prod

import torch
from torch import Tensor, nn

from inrzoo.encoders.weight_transformer import Transformer
from inrzoo.errors import InrzooError
from inrzoo.hypernets.contract import Hypernet
from inrzoo.hypernets.tokens.patches import PatchTokens
from inrzoo.inrs import INR
from inrzoo.volume_rendering import VolumeRenderer

GRID_PATCH, VIEW_PATCH = 9, 8
"""Points of a patch along each axis of a grid, and of a posed view, by default: those of TransINR and GINR-IPC."""
RAY_NUMBERS = 6
"""Numbers of a ray, which a token of a view has beside the colours: origin and direction."""


class TokenHypernet(Hypernet):
    """A hypernetwork whose instance part is read off learned weight tokens that attend to the signal's patches.

    Data tokens and weight tokens pass the transformer in one sequence with full attention (TransINR Sec. 3.3, GINR-IPC
    Sec. 3.3). Weight tokens are initialised as N(0, 1).

    Attributes:
        token_names: G names; the matrix of the INR that each weight token makes a row of.
    """

    needs_grid = True

    def __init__(
        self,
        inr: INR,
        sizes: tuple[int, ...],
        token_names: list[str],
        *,
        patch: int | tuple[int, ...] | None,
        channels: int | None,
        features: int,
        num_layers: int,
        num_heads: int,
        mlp_features: int,
        qkv_bias: bool,
        dropout: float,
        views: bool,
    ) -> None:
        """Make both kinds of tokens and the transformer; the subclasses document the arguments.

        Raises:
            InrzooError: the heads do not divide the features, or the patch is impossible.
        """
        super().__init__(inr, sizes)
        if min(features, num_layers, num_heads, mlp_features) < 1 or features % num_heads:
            raise InrzooError(
                f"features = {features}, num_layers = {num_layers}, num_heads = {num_heads}, mlp_features = "
                f"{mlp_features} are not allowed; all must be at least 1, and features a multiple of num_heads"
            )
        self.token_names = token_names
        self.data_tokens = PatchTokens(
            self.sizes,
            patch if patch is not None else (VIEW_PATCH if views else GRID_PATCH),
            channels or (inr.out_features - 1 + RAY_NUMBERS if views else inr.out_features),
            features,
            positions=not views,
        )
        self.weight_tokens = nn.Parameter(torch.randn(len(token_names), features))
        self.transformer = Transformer(
            features,
            num_layers,
            num_heads,
            features // num_heads,
            mlp_features,
            qkv_bias=qkv_bias,
            dropout=dropout,
        )

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
