"""The weights themselves as features, without a network. The few-shot paper's "zero-learning" (Sec. 3.3.1).

Shape letters: B batch of INRs, P parameters of one INR.
"""

from torch import Tensor

from inrzoo.encoders import Encoder
from inrzoo.weights import WeightLayout


class Raw(Encoder):
    """Returns the normalised weights; it has no parameters.

    Attributes:
        out_features: P.
    """

    def __init__(self, *, layout: WeightLayout) -> None:
        super().__init__(layout)
        self.out_features = layout.num_params

    def forward(self, weights: Tensor) -> Tensor:
        """Return the weights (B, P) unchanged."""
        return weights
