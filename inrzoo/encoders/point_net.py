"""PointNet, the baseline that reads points of a shape instead of weights.

Qi et al. 2017, "PointNet: deep learning on point sets for 3D classification and segmentation" (arXiv 1612.00593),
Sec. 4.2 and Fig. 2, without the two networks that turn points and features (T-nets).

Shape letters: B shapes, K points, N of them that are read, R numbers of a point, F features.
"""

import torch
from torch import Tensor, nn

from inrzoo.encoders import POINTS_AXES, Encoder
from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout

SHARED = (64, 64, 64, 128, 1024)
"""Features of a point after each layer that all points share (Fig. 2)."""
HEAD = (512, 256)
"""Features of a shape after each layer behind the maximum; the layer to the classes follows."""


class PointNet(Encoder):
    """Layers 64-64-64-128-1024 on each point, the maximum over points, and layers 512-256.

    A point is its coordinates and its value, such as a distance. Read are the points whose value is nearest to that of
    the surface, and in training random ones among twice as many. The paper reads points of the surface, uses batch norm
    and turns points by T-nets; here group norm makes a feature independent of the rest of the batch, and points are
    read as they are.

    Args:
        num_points: N, the number of points that are read; the paper reads 1,024.
        level: value of the surface: 0 for distances.
        dropout: share of the features that are set to 0 in training.
    """

    reads = "signals"

    def __init__(
        self, *, layout: WeightLayout, num_points: int = 1024, level: float = 0.0, dropout: float = 0.3
    ) -> None:
        super().__init__(layout)
        if len(layout.tensors) != 1 or layout.tensors[0].axes != POINTS_AXES:
            raise InrzooError("point_net reads points of signals, not weights or pixels; see the task classify_signals")
        stored, self._numbers = layout.tensors[0].shape
        self.require("num_points", num_points, 1 <= num_points <= stored, f"from 1 to {stored}, the points of a signal")
        self.require("dropout", dropout, 0 <= dropout < 1, "at least 0 and below 1")
        self._read, self._level, self._near = num_points, level, min(2 * num_points, stored)
        self.out_features = HEAD[-1]
        points: list[nn.Module] = []
        for before, after in zip((self._numbers, *SHARED), SHARED, strict=False):
            points += [nn.Conv1d(before, after, 1), nn.GroupNorm(8, after), nn.ReLU()]
        shape: list[nn.Module] = []
        for before, after in zip((SHARED[-1], *HEAD), HEAD, strict=False):
            shape += [nn.Linear(before, after), nn.LayerNorm(after), nn.ReLU()]
        self.points, self.shape = nn.Sequential(*points), nn.Sequential(*shape, nn.Dropout(dropout))

    def forward(self, weights: Tensor) -> Tensor:
        """Map points (B, K · R), the numbers of a point beside each other, to features (B, F)."""
        points_BKR = weights.unflatten(1, (-1, self._numbers))
        chosen_BN = self._chosen((points_BKR[..., -1] - self._level).abs())
        points_BNR = points_BKR.gather(1, chosen_BN[..., None].expand(-1, -1, self._numbers))
        features: Tensor = self.shape(self.points(points_BNR.mT).amax(dim=2))
        return features

    def _chosen(self, from_surface_BK: Tensor) -> Tensor:
        """Numbers of the points that are read, (B, N)."""
        if not self.training:
            return from_surface_BK.topk(self._read, dim=1, largest=False).indices
        near_B2N = from_surface_BK.topk(self._near, dim=1, largest=False).indices
        drawn_BN = torch.rand(near_B2N.shape, device=near_B2N.device).topk(self._read, dim=1).indices
        return near_B2N.gather(1, drawn_BN)
