"""GINR-IPC by a transformer: Kim et al. 2023, "Generalizable INRs via instance pattern composers" (arXiv 2211.13223).

Shape letters: B batch of signals, P parameters of one INR, K coordinates, C channels, F features of a token, I numbers
of the instance part.
"""

import torch
from torch import Tensor, nn

from inrzoo.hypernets.composer import Modulation, PatternComposer
from inrzoo.hypernets.row_norms import RowNorm
from inrzoo.hypernets.tokens.token_hypernet import TokenHypernet
from inrzoo.inrs import INR


class InstancePatterns(TokenHypernet):
    """A transformer makes one matrix of the INR, in low rank; the rest is shared by all signals (Sec. 3.2 and 3.3).

    LayerNorm and a linear layer turn one weight token into one row of V. The paper's INR is
    `{"name": "relu_mlp", "hidden_features": 256, "hidden_layers": 3, "encoding": "log_spaced", "num_frequencies": 64,
    "sigma": 64.0}`; the configurations of its code have σ = 64 for faces and 128 for natural images.

    The instance part is V (and U with `modulation = "own_u"`).
    """

    def __init__(
        self,
        inr: INR,
        sizes: tuple[int, ...],
        *,
        rank: int = 256,
        layer: int = 2,
        modulation: Modulation = "shared_u",
        row_norm: RowNorm = "auto",
        patch: int | tuple[int, ...] | None = None,
        channels: int | None = None,
        features: int = 768,
        num_layers: int = 6,
        num_heads: int = 12,
        mlp_features: int = 3072,
        dropout: float = 0.1,
        views: bool = False,
    ) -> None:
        """Build it; the defaults are the paper's and its code's.

        Args:
            inr: any INR.
            sizes: grid of the signals, slowest axis first.
            rank: of the modulated matrix.
            layer: number of the modulated matrix, from 1 (Table 7).
            modulation: see `PatternComposer` (Table 6).
            row_norm: norm of every row of every matrix over its fan-in, see `RowNorm`.
            patch, channels, features, num_layers, num_heads, mlp_features, dropout, views: as for `TransInr`;
                queries, keys and values have biases here.

        Raises:
            InrzooError: a number or a name is not allowed.
        """
        composer = PatternComposer(inr, layer, rank, modulation, row_norm)
        super().__init__(
            inr,
            sizes,
            [name for name, (rows, _) in composer.parts.items() for _ in range(rows)],
            patch=patch,
            channels=channels,
            features=features,
            num_layers=num_layers,
            num_heads=num_heads,
            mlp_features=mlp_features,
            qkv_bias=True,
            dropout=dropout,
            views=views,
        )
        self.composer = composer
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.LayerNorm(features), nn.Linear(features, length))
                for name, (_, length) in composer.parts.items()
            }
        )

    def instances(self, coords: Tensor, values: Tensor) -> Tensor:
        """V, row by row, then Uᵀ if the signal has its own, (B, I)."""
        rows = [count for count, _ in self.composer.parts.values()]
        outputs = self.weight_token_outputs(self.observed(coords, values)).split(rows, dim=1)
        heads = zip(self.heads.values(), outputs, strict=True)
        return torch.cat([head(tokens_BRF).flatten(1) for head, tokens_BRF in heads], dim=1)

    def weights(self, instances: Tensor) -> Tensor:
        """All weights from instance parts. Shape (B, I) to (B, P)."""
        weights_BP: Tensor = self.composer(instances)
        return weights_BP
