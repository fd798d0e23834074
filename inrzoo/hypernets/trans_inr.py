"""TransINR: Chen & Wang 2022, "Transformers as meta-learners for implicit neural representations" (arXiv 2208.02801).
Formulas: docs/derivations/hypernetworks.md#weight-groups.

Shape letters: B batch of signals, P parameters of one INR, K coordinates, C channels, G weight tokens, F features of
a token, I numbers of the instance part; R rows of a matrix, Q its groups, N its fan-in.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.hypernets.contract import initial_weights
from inrzoo.hypernets.row_norms import RowNorm, normalise_rows, row_norms
from inrzoo.hypernets.row_norms import matrices as matrices_of
from inrzoo.hypernets.tokens.token_hypernet import TokenHypernet

Grouping = Literal["block", "tile"]


@dataclass(kw_only=True, eq=False, repr=False)
class TransInr(TokenHypernet):
    """A transformer makes the matrices of the INR; one token makes a group of rows (Sec. 3.3 and 3.4).

    A matrix of R rows has Q = min(groups, R) tokens. The matrix's LayerNorm and linear layer turn token q into u_q, of
    the length of a row, and row i is the normalised u_{m(i)} ⊙ w̄_i, where w̄_i is learned and shared by all signals.
    All other tensors are learned and shared too. w̄ and they start as a newly initialised INR.

    The instance part is all u.

    Attributes:
        inr: any INR.
        matrices: names of the matrices that are made, such as `weight_0`; all by default, as in the paper.
        groups: Q, maximum number of tokens of a matrix.
        grouping: m(i): `"tile"`, as in the authors' code, is i mod Q; `"block"`, as in the paper's text, gives
            neighbouring rows one token, ⌊i Q / R⌋, which is the text's ⌊i / k⌋ if Q divides R.
        row_norm: norm of every generated row over its fan-in, see `RowNorm`.
    """

    matrices: tuple[str, ...] | None = None
    groups: int = 64
    grouping: Grouping = "tile"
    row_norm: RowNorm = "auto"

    def __post_init__(self) -> None:
        """Make the tokens, what all signals share, and the heads."""
        super().__post_init__()
        groupings, layout = get_args(Grouping), self.inr.layout
        if self.groups < 1 or self.grouping not in groupings:
            raise InrzooError(
                f"groups = {self.groups!r}, grouping = {self.grouping!r} are not allowed; "
                f"groups must be at least 1, grouping one of {', '.join(groupings)}"
            )
        every = matrices_of(layout)
        if not every:
            raise InrzooError(f"trans_inr writes the matrices of an INR; {type(self.inr).__name__} has none of its own")
        named = [tensor.name for tensor in every]
        if self.matrices is not None and (not self.matrices or {*self.matrices} - {*named}):
            raise InrzooError(f"matrices = {list(self.matrices)} is not allowed; there are: {', '.join(named)}")
        made = [tensor for tensor in every if self.matrices is None or tensor.name in self.matrices]
        counts = {tensor.name: min(self.groups, tensor.shape[0]) for tensor in made}
        self.make_tokens(counts)
        self.norms = row_norms(self.inr, self.row_norm)
        start = layout.split(initial_weights(self.inr))
        self.base = nn.ParameterDict({name: nn.Parameter(part.clone()) for name, part in start.items()})
        self.fan_ins = {tensor.name: tensor.size // tensor.shape[0] for tensor in made}
        self.make_heads(self.fan_ins)
        for tensor in made:
            row_R, count = torch.arange(tensor.shape[0]), counts[tensor.name]
            group_R = row_R * count // tensor.shape[0] if self.grouping == "block" else row_R % count
            self.register_buffer(f"group_of_row_{tensor.name}", group_R, persistent=False)

    @property
    def layer_matrices(self) -> list[Tensor]:
        """Matrices w̄ that all signals share, for optimisers that treat matrices as such."""
        return [part for part in self.base.values() if part.ndim == 2]

    def weights(self, instances: Tensor) -> Tensor:
        """All weights from instance parts. Shape (B, I) to (B, P)."""
        tensors = {name: part.expand(len(instances), *part.shape) for name, part in self.base.items()}
        lengths = [self.counts[name] * fan_in for name, fan_in in self.fan_ins.items()]
        for name, flat in zip(self.fan_ins, instances.split(lengths, dim=1), strict=True):
            u_BRN = flat.unflatten(1, (self.counts[name], -1))[:, self.get_buffer(f"group_of_row_{name}")]
            rows = tensors[name] * u_BRN.reshape(tensors[name].shape)
            tensors[name] = normalise_rows(rows, rows.ndim - 1, self.norms.get(name))
        joined: Tensor = self.inr.layout.join(tensors)
        return joined
