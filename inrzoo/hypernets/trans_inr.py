"""TransINR: Chen & Wang 2022, "Transformers as meta-learners for implicit neural representations" (arXiv 2208.02801).
Formulas: docs/derivations/hypernetworks.md#weight-groups.

Shape letters: B batch of signals, P parameters of one INR, K coordinates, C channels, G weight tokens, F features of
a token, I numbers of the instance part; R rows of a matrix, Q its groups, N its fan-in.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.hypernets.contract import initial_weights
from inrzoo.hypernets.row_norms import RowNorm, matrices, normalise_rows, row_norms
from inrzoo.hypernets.tokens.token_hypernet import TokenHypernet
from inrzoo.inrs import INR

Grouping = Literal["block", "tile"]


class TransInr(TokenHypernet):
    """A transformer makes every matrix of the INR; one token makes a group of rows (Sec. 3.3 and 3.4).

    A matrix of R rows has Q = min(groups, R) tokens. The matrix's LayerNorm and linear layer turn token q into u_q, of
    the length of a row, and row i is the normalised u_{m(i)} ⊙ w̄_i, where w̄_i is learned and shared by all signals.
    Biases and other tensors with one axis are learned and shared too. w̄ and biases start as a newly initialised INR.

    The instance part is all u.
    """

    def __init__(
        self,
        inr: INR,
        sizes: tuple[int, ...],
        *,
        groups: int = 64,
        grouping: Grouping = "block",
        row_norm: RowNorm = "auto",
        patch: int | tuple[int, ...] | None = None,
        channels: int | None = None,
        features: int = 768,
        num_layers: int = 6,
        num_heads: int = 12,
        mlp_features: int = 3072,
        dropout: float = 0.0,
        views: bool = False,
    ) -> None:
        """Build it; the defaults are the paper's and its code's.

        Args:
            inr: any INR; its matrices are made.
            sizes: grid of the signals, slowest axis first.
            groups: Q, maximum number of tokens of a matrix.
            grouping: m(i): `"block"` gives neighbouring rows one token, ⌊i Q / R⌋, which is the paper's ⌊i / k⌋ if Q
                divides R; `"tile"`, as in its code, is i mod Q.
            row_norm: norm of every generated row over its fan-in, see `RowNorm`.
            patch: points of a patch, along all axes or along each; 9 by default, of posed views 8.
            channels: channels of the signals; those of the INR by default, of posed views colours and rays.
            features: features of a token.
            num_layers: blocks of the encoder.
            num_heads: attention heads, each of F / num_heads features.
            mlp_features: hidden neurons of a block's MLP.
            dropout: of the residual branches, in training.
            views: whether signals are posed views of the grid `sizes`, any number of them; given by the data and not by
                the user. A token then has the colours and the rays of a patch, and no position.

        Raises:
            InrzooError: a number or a name is not allowed.
        """
        groupings = get_args(Grouping)
        if groups < 1 or grouping not in groupings:
            raise InrzooError(
                f"groups = {groups!r}, grouping = {grouping!r} are not allowed; "
                f"groups must be at least 1, grouping one of {', '.join(groupings)}"
            )
        counts = {tensor.name: min(groups, tensor.shape[0]) for tensor in matrices(inr.layout)}
        if not counts:
            raise InrzooError(f"trans_inr writes the matrices of an INR; {type(inr).__name__} has none of its own")
        super().__init__(
            inr,
            sizes,
            [name for name, count in counts.items() for _ in range(count)],
            patch=patch,
            channels=channels,
            features=features,
            num_layers=num_layers,
            num_heads=num_heads,
            mlp_features=mlp_features,
            qkv_bias=False,
            dropout=dropout,
            views=views,
        )
        self.counts = counts
        self.norms = row_norms(inr, row_norm)
        start = inr.layout.split(initial_weights(inr))
        self.base = nn.ParameterDict({name: nn.Parameter(part.clone()) for name, part in start.items()})
        self.fan_ins = {tensor.name: tensor.size // tensor.shape[0] for tensor in matrices(inr.layout)}
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.LayerNorm(features), nn.Linear(features, fan_in))
                for name, fan_in in self.fan_ins.items()
            }
        )
        for tensor in matrices(inr.layout):
            row_R, count = torch.arange(tensor.shape[0]), counts[tensor.name]
            group_R = row_R * count // tensor.shape[0] if grouping == "block" else row_R % count
            self.register_buffer(f"group_of_row_{tensor.name}", group_R, persistent=False)

    def instances(self, coords: Tensor, values: Tensor) -> Tensor:
        """All u, matrix by matrix, (B, I)."""
        outputs = self.weight_token_outputs(self.observed(coords, values)).split(list(self.counts.values()), dim=1)
        heads = zip(self.heads.values(), outputs, strict=True)
        return torch.cat([head(tokens_BQF).flatten(1) for head, tokens_BQF in heads], dim=1)

    def weights(self, instances: Tensor) -> Tensor:
        """All weights from instance parts. Shape (B, I) to (B, P)."""
        tensors = {name: part.expand(len(instances), *part.shape) for name, part in self.base.items()}
        lengths = [self.counts[name] * fan_in for name, fan_in in self.fan_ins.items()]
        for name, flat in zip(self.fan_ins, instances.split(lengths, dim=1), strict=True):
            u_BRN = flat.unflatten(1, (self.counts[name], -1))[:, self.get_buffer(f"group_of_row_{name}")]
            rows = tensors[name] * u_BRN.reshape(tensors[name].shape)
            tensors[name] = normalise_rows(rows, rows.ndim - 1, self.norms[name])
        joined: Tensor = self.inr.layout.join(tensors)
        return joined
