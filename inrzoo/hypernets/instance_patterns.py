"""GINR-IPC by a transformer: Kim et al. 2023, "Generalizable INRs via instance pattern composers" (arXiv 2211.13223).

Shape letters: B batch of signals, P parameters of one INR, K coordinates, C channels, F features of a token, I numbers
of the instance part.
"""

from dataclasses import dataclass

from inrzoo.hypernets.composer import PatternHypernet
from inrzoo.hypernets.tokens.token_hypernet import TokenHypernet


@dataclass(kw_only=True, eq=False, repr=False)
class InstancePatterns(TokenHypernet, PatternHypernet):
    """A transformer makes one matrix of the INR, in low rank; the rest is shared by all signals (Sec. 3.2 and 3.3).

    LayerNorm and a linear layer turn one weight token into one row of V, the instance part (with it of Uᵀ in `own_u`).
    Queries, keys and values have biases. The paper's INR is
    `{"name": "relu_mlp", "hidden_features": 256, "hidden_layers": 3, "encoding": "log_spaced", "num_frequencies": 64,
    "sigma": 64.0}`; the configurations of its code have σ = 64 for faces and 128 for natural images.

    Attributes:
        dropout: of the residual branches, in training.
    """

    qkv_bias = True

    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Make the tokens, the composer and the heads."""
        super().__post_init__()
        composer = self.new_composer()
        self.make_tokens({name: rows for name, (rows, _) in composer.parts.items()})
        self.composer = composer
        self.make_heads({name: length for name, (_, length) in composer.parts.items()})
