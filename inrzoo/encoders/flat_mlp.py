"""An MLP on the flattened weights: the few-shot paper's baseline (Sec. 2.3), a stack as in inr2vec.

Shape letters: B batch of INRs, P parameters of one INR, F features.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder
from inrzoo.errors import InrzooError
from inrzoo.weights import FIXED_AXES, WeightLayout


class FlatMlp(Encoder):
    """Linear, ReLU, [dropout,] … Linear on one long vector.

    The paper stacks the matrices [Wᵢ; bᵢᵀ] between hidden layers, without the first and the last layer (Sec. 2.3). It
    gives no width, depth or activation, but says that the size matches the transformer's.

    Args:
        tensors: `hidden` takes the weights between two hidden layers and their biases, as the paper does; `all` takes
            every tensor.
        hidden_features: neurons of a hidden layer.
        hidden_layers: number of hidden layers; 0 is one linear layer.
        out_features: F.
        dropout: dropout probability after each ReLU.
    """

    columns: Tensor

    def __init__(
        self,
        *,
        layout: WeightLayout,
        tensors: Literal["hidden", "all"] = "hidden",
        hidden_features: int = 64,
        hidden_layers: int = 2,
        out_features: int = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(layout)
        self.require("hidden_features", hidden_features, hidden_features >= 1, "at least 1")
        self.require("hidden_layers", hidden_layers, hidden_layers >= 0, "at least 0")
        self.require("out_features", out_features, out_features >= 1, "at least 1")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self.out_features = out_features
        columns = _hidden_columns(layout) if tensors == "hidden" else torch.arange(layout.num_params)
        self.register_buffer("columns", columns, persistent=False)
        sizes = [len(columns), *[hidden_features] * hidden_layers]
        steps: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            steps += [nn.Linear(fan_in, fan_out), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
        self.network = nn.Sequential(*steps, nn.Linear(sizes[-1], out_features))

    def forward(self, weights: Tensor) -> Tensor:
        """Map weights (B, P) to features (B, F)."""
        features: Tensor = self.network(weights[..., self.columns])
        return features


def _hidden_columns(layout: WeightLayout) -> Tensor:
    """Return the indices of the weights from neurons to neurons, and of the bias after each, in the flat vector."""
    hidden = []
    for tensor, following in zip(layout.tensors, (*layout.tensors[1:], None), strict=True):
        if len(tensor.axes) == 2 and not set(tensor.axes) & set(FIXED_AXES):
            hidden.append(tensor)
            if following is not None and following.axes == tensor.axes[:1]:
                hidden.append(following)
    if not hidden:
        names = ", ".join(tensor.name for tensor in layout.tensors)
        raise InrzooError(f'no weights between two hidden layers among {names}; use tensors = "all"')
    return torch.cat([torch.arange(tensor.size) + layout.offsets[tensor.name] for tensor in hidden])
