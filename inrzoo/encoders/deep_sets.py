"""Sets of neurons: features that do not depend on how hidden neurons are numbered.

Zaheer et al. 2017, "Deep sets" (arXiv 1703.06114): ρ(mean φ(x)) is invariant to the order of the x, and every
continuous invariant function has that form. It is used twice: the connections of a neuron to other neurons are a set,
and the neurons of a layer are a set. The network does not see that both sets share neurons: it is a simple baseline,
not the strongest invariant network.

Shape letters: B batch of INRs, P parameters of one INR, H neurons of an axis, C channels of a neuron, F features.
"""

import math

import torch
from torch import Tensor, nn

from inrzoo.encoders import Encoder
from inrzoo.weights import WeightLayout, WeightTensor


class DeepSets(Encoder):
    """Deep sets over the connections of each neuron and over the neurons of each layer.

    The weights from a neuron to other neurons go through Linear and ReLU and are averaged. The result, the bias and the
    weights to coordinates or channels go through an MLP of that layer. Its mean and maximum over the neurons of every
    layer, and the tensors without a neuron axis (the output's bias), go through a last MLP.

    Args:
        hidden_features: channels of a neuron.
        entry_features: channels of a connection.
        out_features: F.
    """

    symmetries = ("permutation",)

    def __init__(
        self,
        *,
        layout: WeightLayout,
        hidden_features: int = 64,
        entry_features: int = 16,
        out_features: int = 64,
    ) -> None:
        super().__init__(layout)
        self.require_counts(hidden_features=hidden_features, entry_features=entry_features, out_features=out_features)
        self.out_features = out_features
        self.axes = list(layout.neuron_axes)
        self.entries = nn.ModuleDict()
        self.neurons = nn.ModuleDict()
        for axis in self.axes:
            width = 0
            for tensor in layout.tensors:
                if axis in tensor.axes:
                    ordered = self._ordered_size(tensor, axis)
                    if self._is_set(tensor, axis):
                        self.entries[f"{axis} {tensor.name}"] = nn.Sequential(
                            nn.Linear(ordered, entry_features), nn.ReLU()
                        )
                        width += entry_features
                    else:
                        width += ordered
            self.neurons[axis] = _mlp(width, hidden_features, hidden_features)
        self.rest = [tensor for tensor in layout.tensors if not set(tensor.axes) & set(self.axes)]
        rest = sum(tensor.size for tensor in self.rest)
        self.head = _mlp(2 * hidden_features * len(self.axes) + rest, hidden_features, out_features)

    def forward(self, weights: Tensor) -> Tensor:
        """Map weights (B, P) to features (B, F)."""
        parts = self.layout.split(weights)
        pooled = [parts[tensor.name].flatten(1) for tensor in self.rest]
        for axis in self.axes:
            features_BHC = self.neurons[axis](torch.cat(self._neuron_inputs(parts, axis), dim=-1))
            pooled += [features_BHC.mean(dim=1), features_BHC.amax(dim=1)]
        features: Tensor = self.head(torch.cat(pooled, dim=-1))
        return features

    def _neuron_inputs(self, parts: dict[str, Tensor], axis: str) -> list[Tensor]:
        """Return the inputs of each neuron of an axis, (B, H, C) for every tensor."""
        inputs = []
        for tensor in self.layout.tensors:
            if axis not in tensor.axes:
                continue
            part = parts[tensor.name].movedim(1 + tensor.axes.index(axis), 1)
            others = [other for other in tensor.axes if other != axis]
            if self._is_set(tensor, axis):
                # Neuron axes come first; the ordered axes become the channels of an entry.
                order = sorted(range(len(others)), key=lambda i: others[i] not in self.axes)
                part = part.permute(0, 1, *(2 + i for i in order))
                part = part.reshape(*part.shape[:2], -1, self._ordered_size(tensor, axis))
                inputs.append(self.entries[f"{axis} {tensor.name}"](part).mean(dim=2))
            else:
                inputs.append(part.flatten(2) if others else part[..., None])
        return inputs

    def _is_set(self, tensor: WeightTensor, axis: str) -> bool:
        return any(other in self.axes for other in tensor.axes if other != axis)

    def _ordered_size(self, tensor: WeightTensor, axis: str) -> int:
        """Return the number of entries along the ordered axes of a tensor, for one neuron or one of its connections."""
        return math.prod(
            size
            for other, size in zip(tensor.axes, tensor.shape, strict=True)
            if other != axis and other not in self.axes
        )


def _mlp(fan_in: int, hidden: int, fan_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(fan_in, hidden), nn.ReLU(), nn.Linear(hidden, fan_out))
