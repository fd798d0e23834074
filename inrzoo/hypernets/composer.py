"""An INR with one matrix made for each signal: the instance pattern composer of GINR-IPC.
Formulas: docs/derivations/hypernetworks.md#instance-patterns; of INRs that are affine in the pattern:
docs/derivations/hypernetworks.md#patterns-of-multiplicative-filters.

Shape letters: B batch of signals, P parameters of one INR, I numbers of the instance part; O rows of the modulated
matrix, N its fan-in, R its rank.
"""

from dataclasses import dataclass, field
from math import prod
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.hypernets.contract import Hypernet, initial_weights
from inrzoo.hypernets.row_norms import RowNorm, matrices, normalise_rows, row_norms
from inrzoo.inrs import INR

Modulation = Literal["shared_u", "direct", "own_u", "hadamard"]


class PatternComposer(nn.Module):
    """Weights of an INR whose `layer`-th matrix W is made for each signal; everything else is shared and learned.

    | modulation | W     | of the signal       | shared  | GINR-IPC Table 6       |
    |------------|-------|---------------------|---------|------------------------|
    | shared_u   | U V   | V (R, N)            | U (O, R) | U V⁽ⁿ⁾, the method     |
    | direct     | V     | V (O, N)            |         | V⁽ⁿ⁾                   |
    | own_u      | U V   | V (R, N), Uᵀ (R, O) |         | U⁽ⁿ⁾ V⁽ⁿ⁾              |
    | hadamard   | U ⊙ V | V (O, N)            | U (O, N) | U ⊙ V⁽ⁿ⁾               |

    U of shared_u is N(0, 1/(R N)), so that W is N(0, 1/N) if V is N(0, 1) (App. A, their code). U of hadamard and the
    shared tensors are initialised as those of an INR. Then every row of every matrix is scaled to one norm.

    Args:
        inr: any INR.
        layer: number of the matrix, from 1, in the order of the layout (Table 7).
        rank: R; direct and hadamard ignore it.
        modulation: see the table.
        row_norm: see `RowNorm`.

    Raises:
        InrzooError: the INR has no such layer, the rank is below 1, or a name is unknown.
    """

    def __init__(self, inr: INR, layer: int, rank: int, modulation: Modulation, row_norm: RowNorm) -> None:
        super().__init__()
        candidates = matrices(inr.layout)
        if not 1 <= layer <= len(candidates):
            raise InrzooError(
                f"layer = {layer!r} is not allowed; it must be from 1 to {len(candidates)}, the INR's matrices"
            )
        if rank < 1 or modulation not in get_args(Modulation):
            raise InrzooError(
                f"rank = {rank!r}, modulation = {modulation!r} are not allowed; rank must be at least 1, modulation "
                f"one of {', '.join(get_args(Modulation))}"
            )
        self.inr = inr
        self.name = candidates[layer - 1].name
        self.modulation = modulation
        self.norms = row_norms(inr, row_norm)
        start = inr.layout.split(initial_weights(inr))
        self.shape = candidates[layer - 1].shape
        out, fan_in = self.shape[0], prod(self.shape[1:])
        if modulation == "shared_u":
            self.u = nn.Parameter(torch.randn(out, rank) / (rank * fan_in) ** 0.5)
        elif modulation == "hadamard":
            self.u = nn.Parameter(start[self.name].reshape(out, fan_in).clone())
        self.shared = nn.ParameterDict(
            {name: nn.Parameter(part.clone()) for name, part in start.items() if name != self.name}
        )
        low_rank = {"v": (rank, fan_in)} | ({"u": (rank, out)} if modulation == "own_u" else {})
        self.parts = low_rank if modulation in ("shared_u", "own_u") else {"v": (out, fan_in)}
        """Matrices of the instance part: name -> (rows, length of a row). One weight token makes one row."""

    @property
    def layer_matrices(self) -> list[Tensor]:
        """Matrices that all signals share, for optimisers that treat matrices as such."""
        own = [self.u] if hasattr(self, "u") else []
        return own + [part for part in self.shared.values() if part.ndim == 2]

    @property
    def num_instance_params(self) -> int:
        """Numbers of the instance part."""
        return sum(rows * length for rows, length in self.parts.values())

    def forward(self, instances: Tensor) -> Tensor:
        """All weights from instance parts. Shape (B, I) to (B, P)."""
        flat = instances.split([rows * length for rows, length in self.parts.values()], dim=1)
        own = {name: part.unflatten(1, shape) for (name, shape), part in zip(self.parts.items(), flat, strict=True)}
        if self.modulation == "shared_u":
            matrix_BON = self.u @ own["v"]
        elif self.modulation == "own_u":
            matrix_BON = own["u"].mT @ own["v"]
        else:
            matrix_BON = own["v"] if self.modulation == "direct" else self.u * own["v"]
        tensors: dict[str, Tensor] = {}
        for tensor in self.inr.layout.tensors:
            norm = self.norms.get(tensor.name)
            if tensor.name == self.name:
                part = normalise_rows(matrix_BON.unflatten(2, self.shape[1:]), len(self.shape), norm)
            else:
                part = self.shared[tensor.name]
                part = normalise_rows(part, part.ndim, norm).expand(len(instances), *part.shape)
            tensors[tensor.name] = part
        joined: Tensor = self.inr.layout.join(tensors)
        return joined


@dataclass(kw_only=True, eq=False, repr=False)
class PatternHypernet(Hypernet):
    """A hypernetwork whose instance part is that of a `PatternComposer`: V (and U with `modulation = "own_u"`).

    Attributes:
        rank: of the modulated matrix.
        layer: number of the modulated matrix, from 1 (Table 7).
        modulation: see `PatternComposer` (Table 6).
        row_norm: norm of every row of every matrix over its fan-in, see `RowNorm`.
        composer: what `new_composer` made.
    """

    rank: int = 256
    layer: int = 2
    modulation: Modulation = "shared_u"
    row_norm: RowNorm = "auto"
    composer: PatternComposer = field(init=False)

    def new_composer(self) -> PatternComposer:
        """A newly initialised composer; subclasses register it after their other modules."""
        return PatternComposer(self.inr, self.layer, self.rank, self.modulation, self.row_norm)

    def weights(self, instances: Tensor) -> Tensor:
        """All weights from instance parts. Shape (B, I) to (B, P)."""
        weights_BP: Tensor = self.composer(instances)
        return weights_BP
