"""A convolutional network on pixels, the baseline that reads the signal instead of its weights.

The four blocks of Vinyals et al. 2016, "Matching networks for one shot learning" (arXiv 1606.04080), Sec. 4.1, which
later few-shot work calls Conv-4.

Shape letters: B images, F features.
"""

from torch import Tensor, nn

from inrzoo.encoders import PIXELS_AXES, Encoder
from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout


class ConvNet(Encoder):
    """Blocks of 3 × 3 convolution, group norm, ReLU and 2 × 2 max pooling; the last map is flattened.

    The paper uses batch norm; group norm makes a feature independent of the rest of the batch.

    Args:
        hidden_features: channels of every block, a multiple of 8.
        num_blocks: number of blocks; each halves the image.
    """

    reads = "signals"

    def __init__(self, *, layout: WeightLayout, hidden_features: int = 64, num_blocks: int = 4) -> None:
        super().__init__(layout)
        if len(layout.tensors) != 1 or layout.tensors[0].axes != PIXELS_AXES:
            raise InrzooError('conv_net reads pixels and not weights; use it with inputs = "signals"')
        self.rows, self.cols, self.channels = layout.tensors[0].shape
        smallest = min(self.rows, self.cols) >> num_blocks
        self.require(
            "num_blocks",
            num_blocks,
            num_blocks >= 1 and smallest >= 1,
            f"from 1 to {min(self.rows, self.cols).bit_length() - 1}",
        )
        self.require("hidden_features", hidden_features, hidden_features % 8 == 0, "a multiple of 8")
        self.out_features = hidden_features * (self.rows >> num_blocks) * (self.cols >> num_blocks)
        blocks: list[nn.Module] = []
        for number in range(num_blocks):
            channels = hidden_features if number else self.channels
            blocks += [
                nn.Conv2d(channels, hidden_features, 3, padding=1),
                nn.GroupNorm(8, hidden_features),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.blocks = nn.Sequential(*blocks)

    def forward(self, weights: Tensor) -> Tensor:
        """Map images (B, rows · cols · channels), row-major, to features (B, F)."""
        images = weights.reshape(-1, self.rows, self.cols, self.channels).permute(0, 3, 1, 2)
        features: Tensor = self.blocks(images).flatten(1)
        return features
