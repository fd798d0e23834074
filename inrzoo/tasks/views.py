"""Posed views of objects as tasks learn from them: support views come in, other views are predicted.
Formulas: docs/derivations/hypernetworks.md#novel-views.

Shape letters: N objects, B batch of objects, V views of an object, W held-out views, K pixels of a view, C channels,
J rays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrzoo.augmentations import SignalAugmentation, augmented
from inrzoo.errors import InrzooError
from inrzoo.loaders.order import ReadWhenNeeded, evenly
from inrzoo.loaders.transforms import generator_for
from inrzoo.observations.rays import Rays, camera_directions, rays_of
from inrzoo.targets import SignalTable, Targets
from inrzoo.tasks.contract import Device
from inrzoo.tasks.signals import SignalPart, SignalSet
from inrzoo.tasks.training.batches import TrainingBatches
from inrzoo.weights import WeightLayout

MEASURED_AT_ONCE = 8
"""Objects that are measured at once."""
HALF_LEVEL = 1 / 510
"""Half of a level of 8 bits, as a share of the value range: pixels nearer to the background count as background."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ViewBatch:
    """The views of B objects; those of an object that come first in `order_BV` are its support views.

    Attributes:
        values_BVKC: colours on the value range.
        poses_BV34, intrinsics_B4: as of the observation `rays`.
        order_BV: the numbers 0 to V − 1 of the views of each object, shuffled.
        size: rows and columns of a view.
        background: the value of a pixel without an object, in all channels.
        value_range: ends of the range of values.
        rows_B: numbers of the objects in their set.
        seed, epoch: of all that is drawn for an object.
    """

    values_BVKC: Tensor
    poses_BV34: NDArray[np.float32]
    intrinsics_B4: NDArray[np.float32]
    order_BV: Tensor
    size: tuple[int, int]
    background: float
    value_range: tuple[float, float]
    rows_B: NDArray[np.int64]
    seed: int
    epoch: int

    def support(self, count: int) -> tuple[Tensor, Tensor]:
        """Rays and colours of the first `count` views of each object, (B, count · K, 6) and (B, count · K, C)."""
        objects, chosen = torch.arange(len(self.order_BV))[:, None], self.order_BV[:, :count]
        poses = self.poses_BV34[objects.numpy(), chosen.numpy()]
        rays = torch.from_numpy(rays_of(poses, self.intrinsics_B4, self.size))
        return rays, self.values_BVKC[objects, chosen].flatten(1, 2)

    def drawn(self, num_support: int, count: int, foreground: bool) -> tuple[Tensor, Tensor]:
        """Random rays of the views that are not among the first `num_support`, by torch's random state.

        Args:
            num_support: number of support views, below V.
            count: J, rays of each object, drawn with replacement.
            foreground: draw half of them, rounded down, among the pixels that are not background (TransINR Sec. 4.2).
                An object that none of these views shows has all of its rays from anywhere.

        Returns:
            Rays (B, J, 6) and colours (B, J, C).
        """
        others_BV = self.order_BV[:, num_support:]
        num_objects, num_pixels = len(others_BV), self.values_BVKC.shape[2]
        drawn_BJ = torch.randint(others_BV.shape[1] * num_pixels, (num_objects, count))
        if foreground:
            for row, shown in enumerate(self._foreground(others_BV)):
                if len(shown):
                    drawn_BJ[row, : count // 2] = shown[torch.randint(len(shown), (count // 2,))]
        view_BJ = others_BV.gather(1, drawn_BJ // num_pixels)
        pixel_BJ = drawn_BJ % num_pixels
        values = self.values_BVKC[torch.arange(num_objects)[:, None], view_BJ, pixel_BJ]
        return torch.from_numpy(self._rays_at(view_BJ.numpy(), pixel_BJ.numpy())), values

    def augmented(
        self, augmentations: Sequence[SignalAugmentation], *parts: tuple[Tensor, Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Rays (B, J, 6) and colours (B, J, C) of each part after all augmentations, by one draw for all of an object.

        What is drawn for an object is a function of seed, epoch and its row.
        """
        if not augmentations:
            return list(parts)
        rays, values = (torch.cat(each, dim=1) for each in zip(*parts, strict=True))
        generators = (generator_for(self.seed, self.epoch, int(row), view=1) for row in self.rows_B)
        values, moved = augmented(values, rays, augmentations, generators)
        assert moved is not None, "rays are no grid"
        sizes = [rays.shape[1] for rays, _ in parts]
        return list(zip(moved.split(sizes, dim=1), values.split(sizes, dim=1), strict=True))

    def _foreground(self, views_BV: Tensor) -> list[Tensor]:
        """Of each object the pixels that are not background, as numbers among all pixels of some of its views."""
        low, high = self.value_range
        each = zip(self.values_BVKC, views_BV, strict=True)
        distances = ((values_VKC[chosen] - self.background).abs().amax(dim=-1).flatten() for values_VKC, chosen in each)
        return [(distance > HALF_LEVEL * (high - low)).nonzero()[:, 0] for distance in distances]

    def _rays_at(self, view_BJ: NDArray[np.int64], pixel_BJ: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rays of some pixels of some views, (B, J, 6), as `rays_of` gives them."""
        objects = np.arange(len(view_BJ))[:, None]
        poses = self.poses_BV34[objects, view_BJ].astype(np.float64)
        seen = camera_directions(self.intrinsics_B4, self.size).reshape(len(view_BJ), -1, 3)[objects, pixel_BJ]
        directions = np.einsum("bkij,bkj->bki", poses[..., :3], seen)
        return np.concatenate([poses[..., 3], directions], axis=-1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class ViewSet(ReadWhenNeeded):
    """Objects of one split, seen in posed views; which of these are support views is drawn anew for every epoch.

    Attributes:
        signals: the views of the objects.
        seed: the order of the views of an object in an epoch is a function of it, the epoch and the object's row.

    Raises:
        InrzooError: the signals are no posed views.
    """

    signals: SignalSet
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.signals.observation, Rays):
            raise InrzooError(
                "novel_views needs posed views, of a store or dataset with observation = rays such as furniture_views; "
                f"the signals have a grid of {' × '.join(map(str, self.signals.grid))}"
            )

    def __len__(self) -> int:
        return len(self.signals)

    @property
    def num_views(self) -> int:
        """V, without held-out views."""
        return self.signals.grid[0]

    def batches(self, batch_size: int) -> TrainingBatches[ViewBatch]:
        """Shuffled batches for training.

        Raises:
            InrzooError: the set has fewer objects than a batch.
        """
        buffer, parts = self.signals.window
        return TrainingBatches(self, batch_size, seed=self.seed, name="batch", buffer=buffer, shards_at_once=parts)

    def parts(self, count: int | None = None) -> Iterator[ViewPart]:
        """Iterate over some objects at a time. The order of the views of an object is a function of its row alone.

        Args:
            count: number of objects, spread evenly over the set, which may be sorted by class; all if None.
        """
        rows_N = evenly(len(self), count)
        for first in range(0, len(rows_N), MEASURED_AT_ONCE):
            rows_B = rows_N[first : first + MEASURED_AT_ONCE]
            table = self.signals.read_table(rows_B)
            yield ViewPart(views=_view_batch(table, rows_B, seed=0, epoch=0), targets=table.targets())

    # --- as `Readable` asks for ----------------------------------------------------------------------------------

    @property
    def layout(self) -> WeightLayout:
        """Layout of the INR's weights."""
        return self.signals.layout

    def chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Runs of objects that are decoded at once; see `Readable.chunks`."""
        return self.signals.chunks()

    def read(self, positions_B: NDArray[np.int64], *, epoch: int, key: int) -> ViewBatch:
        """The views of some objects in an epoch."""
        return _view_batch(self.signals.read_table(positions_B), positions_B, seed=self.seed, epoch=epoch)


@dataclass(frozen=True, eq=False, kw_only=True)
class ViewPart:
    """The views of objects that are measured at once, and what their INRs are compared with."""

    views: ViewBatch
    targets: Targets

    def given(self, num_support: int, device: Device) -> SignalPart:
        """The first `num_support` views of each object on a device, as signals with held-out views."""
        rays, values = self.views.support(num_support)
        targets = replace(self.targets, coords=rays.numpy(), values_BKC=values.numpy(), numbers_BKC=values.numpy())
        return SignalPart(rays.to(device), values.to(device), {}, targets)


def _view_batch(table: SignalTable, rows_B: NDArray[np.int64], *, seed: int, epoch: int) -> ViewBatch:
    """The views of the objects of a table, whose order is a function of seed, epoch and the object's row."""
    num_views, *size = table.grid
    orders = [torch.randperm(num_views, generator=generator_for(seed, epoch, int(row))) for row in rows_B]
    assert isinstance(table.observation, Rays), "a set of views refuses others"
    return ViewBatch(
        values_BVKC=torch.from_numpy(table.values()).unflatten(1, (num_views, math.prod(size))),
        poses_BV34=np.asarray(table.arrays["poses"]),
        intrinsics_B4=np.asarray(table.arrays["intrinsics"]),
        order_BV=torch.stack(orders),
        size=(size[0], size[1]),
        background=table.observation.background_value(table.scale.range),
        value_range=table.scale.range,
        rows_B=rows_B,
        seed=seed,
        epoch=epoch,
    )
