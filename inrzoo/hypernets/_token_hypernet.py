"""What TransINR and GINR-IPC share: data tokens and weight tokens through one transformer.

Shape letters: B batch of signals, K coordinates, C channels, T data tokens, G weight tokens, F features of a token,
A attention heads.
"""

import torch
from torch import Tensor, nn

from inrzoo.encoders.weight_transformer import Transformer
from inrzoo.errors import InrzooError
from inrzoo.hypernets._contract import Hypernet
from inrzoo.hypernets._patches import PatchTokens
from inrzoo.inrs import INR


class TokenHypernet(Hypernet):
    """A hypernetwork that reads its numbers off learned tokens which have looked at the signal's patches.

    Both kinds of tokens go through the encoder in one sequence with full attention (TransINR Sec. 3.3, GINR-IPC
    Sec. 3.3). Weight tokens are N(0, 1) at first.

    Attributes:
        token_names: of each weight token, what of the INR it makes; G names.
    """

    def __init__(
        self,
        inr: INR,
        sizes: tuple[int, ...],
        token_names: list[str],
        *,
        patch: int | tuple[int, ...],
        channels: int | None,
        features: int,
        num_layers: int,
        num_heads: int,
        mlp_features: int,
        qkv_bias: bool,
        dropout: float,
    ) -> None:
        """Make both kinds of tokens and the encoder; see the subclasses for the arguments.

        Raises:
            InrzooError: features that the heads cannot share, or an impossible patch.
        """
        super().__init__(inr, sizes)
        if min(features, num_layers, num_heads, mlp_features) < 1 or features % num_heads:
            raise InrzooError(
                f"features = {features}, num_layers = {num_layers}, num_heads = {num_heads}, mlp_features = "
                f"{mlp_features} are not allowed; all must be at least 1, and features a multiple of num_heads"
            )
        self.token_names = token_names
        self.data_tokens = PatchTokens(self.sizes, patch, channels or inr.out_features, features)
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

    def weight_token_outputs(self, values_BKC: Tensor) -> Tensor:
        """What the weight tokens have become, (B, G, F)."""
        outputs_BTF: Tensor = self.transformer(self._tokens(values_BKC))
        return outputs_BTF[:, self.data_tokens.num_tokens :]

    def attention_maps(self, values: Tensor, layer: int = -1) -> Tensor:
        """How much each weight token looks at each patch (TransINR Sec. 5, Fig. 7).

        Args:
            values: (B, K, C).
            layer: block of the encoder; negative ones count from the last.

        Returns:
            (B, A, G, *patches along each axis). A weight token looks at weight tokens too: these sum to less than 1.
        """
        maps: Tensor = self.transformer.attention_maps(self._tokens(values), layer)
        num_data = self.data_tokens.num_tokens
        to_data: Tensor = maps[:, :, num_data:, :num_data]
        return torch.unflatten(to_data, -1, self.data_tokens.counts)

    def _tokens(self, values_BKC: Tensor) -> Tensor:
        """Data tokens, then weight tokens, (B, T + G, F)."""
        self.require_grid(values_BKC)
        data_BTF = self.data_tokens(values_BKC)
        return torch.cat([data_BTF, self.weight_tokens.expand(len(data_BTF), -1, -1)], dim=1)
