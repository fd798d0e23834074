"""The input of an engine: INRs, their initial weights, the signals to fit, and when to stop.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import Products
from inrzoo.fit.antialias import AntiAlias, require_frequencies
from inrzoo.fit.losses import LOSSES, Loss, mean_error, relative_weights
from inrzoo.fit.metrics import mse_at
from inrzoo.fit.schedule import Schedule
from inrzoo.inrs import INR
from inrzoo.lazy import lazy
from inrzoo.volume_rendering import Observer

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


@dataclass(frozen=True, eq=False)
class FitProblem:
    """B INRs of one architecture to be fitted to B signals. All tensors are on one device.

    Attributes:
        inr: the architecture.
        starts_BP: the weights that fits begin at; no engine changes them.
        coords: the coordinates: (K, D) if all INRs share them, as a grid, or (B, K, D).
        targets_BKC: the values to fit, float32, for `mse` inside `value_range`, for `bce` from 0 to 1.
        lr: Adam's learning rate, above 0.
        snapshots: step counts at which weights are kept, ascending; the last one is the length of the fit. 0 is the
            start itself.
        stop_psnr: the PSNR, in dB, at which an INR stops; None for never.
        value_range: lowest and highest value of a signal, as in `metrics.psnr`.
        antialias: what is done against frequencies above the grid's. Loss, PSNR and the stop remain those of the error
            alone.
        nyquist_D: `coords.nyquist` of the grid, radians per coordinate unit; used with `antialias` alone.
        products: how matrix products are made of float32 numbers; `auto` is the default of the engine.
        loss: a name of `losses.LOSSES`, or, for the reference engine, a function like those.
        point_weights_BK: the weight of each point in the loss, 0 or more, with a positive sum; None for equal weights.
        schedule: how the learning rate changes.
        weight_decay: decoupled decay (AdamW, Loshchilov & Hutter 2019) per unit of learning rate: a step multiplies the
            weights by 1 − rate · weight_decay before Adam's update.
        max_grad_norm: the L2 norm to which the gradient of each INR is clipped; None for no limit.
        lr_factors: name of a tensor of the layout to the factor of its learning rate; tensors without one have 1.
        num_coords: points drawn for each step, see `subsets`; None takes all. The loss that is kept and that stops an
            INR is always that of all points.
        keys_B: the key of each INR's draws, uint64; with `num_coords` alone.
        evaluate_every: steps between two looks at all points, with `num_coords` alone; snapshots are looked at anyway.
        observe: how values are predicted, for the reference engine; None for the value of the INR at a coordinate.
            `coords` may then hold something else than coordinates, such as rays.
        evaluations: evaluations of the INR that one prediction takes.

    Raises:
        ValueError: snapshots that are empty, negative or not ascending; shapes that do not fit each other; `antialias`
            without `nyquist_D`; `num_coords` without keys; a value out of its range; a stop at a PSNR with another loss
            than `mse`; factors of tensors that the INR does not have.
        InrzooError: `antialias` for an architecture without a frequency bound.
    """

    inr: INR
    starts_BP: Tensor
    coords: Tensor
    targets_BKC: Tensor
    _: KW_ONLY
    lr: float
    snapshots: Sequence[int]
    stop_psnr: float | None = None
    value_range: tuple[float, float] = (-1.0, 1.0)
    antialias: AntiAlias | None = None
    nyquist_D: Tensor | None = None
    products: Products = "auto"
    loss: str | Loss = "mse"
    point_weights_BK: Tensor | None = None
    schedule: Schedule = field(default_factory=Schedule)
    weight_decay: float = 0.0
    max_grad_norm: float | None = None
    lr_factors: Mapping[str, float] = field(default_factory=dict)
    num_coords: int | None = None
    keys_B: NDArray[np.uint64] | None = None
    evaluate_every: int = 1
    observe: Observer | None = None
    evaluations: int = 1

    def __post_init__(self) -> None:
        """Reject what no engine could fit."""
        snapshots = self.snapshots
        if not snapshots or snapshots[0] < 0 or any(a >= b for a, b in pairwise(snapshots)):
            raise ValueError(f"snapshots must ascend from 0, given {list(snapshots)}")
        channels = self.inr.out_features if self.observe is None else self.targets_BKC.shape[-1]
        shape = (len(self.starts_BP), self.num_points, channels)
        if self.targets_BKC.shape != shape:
            raise ValueError(
                f"targets of {shape[0]} INRs on {shape[1]} coordinates have shape {shape}, "
                f"given {tuple(self.targets_BKC.shape)}"
            )
        if not self.shared_coords and len(self.coords) != shape[0]:
            raise ValueError(
                f"coords of {shape[0]} INRs are (K, D) or ({shape[0]}, K, D), not {tuple(self.coords.shape)}"
            )
        if self.point_weights_BK is not None and self.point_weights_BK.shape != shape[:2]:
            raise ValueError(f"point weights have shape {shape[:2]}, given {tuple(self.point_weights_BK.shape)}")
        self._check_optimiser()
        if self.num_coords is not None:
            if not (self.num_coords >= 1 and self.evaluate_every >= 1):
                raise ValueError(f"num_coords = {self.num_coords}, evaluate_every = {self.evaluate_every}: at least 1")
            if self.keys_B is None or self.keys_B.shape != (shape[0],) or self.keys_B.dtype != np.uint64:
                raise ValueError(f"num_coords needs keys_B, {shape[0]} numbers of type uint64")
        if self.antialias is not None:
            require_frequencies(self.inr, self.starts_BP)
            if self.nyquist_D is None or self.nyquist_D.shape != (self.inr.in_features,):
                raise ValueError(
                    f"antialias needs nyquist_D, one frequency for each of {self.inr.in_features} coordinates"
                )

    def _check_optimiser(self) -> None:
        if isinstance(self.loss, str) and self.loss not in LOSSES:
            raise ValueError(f"no loss {self.loss!r}; there are: {', '.join(LOSSES)}")
        if self.loss != "mse" and self.stop_psnr is not None:
            raise ValueError("a fit stops at a PSNR with the loss mse alone")
        if self.weight_decay < 0 or (self.max_grad_norm is not None and self.max_grad_norm <= 0):
            raise ValueError(
                f"weight_decay = {self.weight_decay} must be 0 or more, max_grad_norm = {self.max_grad_norm} above 0"
            )
        unknown = self.lr_factors.keys() - self.inr.layout.offsets.keys()
        if unknown:
            raise ValueError(f"lr_factors of {', '.join(sorted(unknown))}: the INR has no such tensors")

    @property
    def shared_coords(self) -> bool:
        """Whether all INRs have the same coordinates."""
        return self.coords.ndim == 2

    @property
    def num_points(self) -> int:
        """K, the points of each signal."""
        return self.coords.shape[-2]

    @property
    def rates(self) -> NDArray[np.float64]:
        """The learning rate of each step, float64; the last one is that of all later steps, too."""
        return self.lr * self.schedule.factors(1 + min(self.snapshots[-1], self.schedule.settles_at))

    @cached_property
    def lr_factors_P(self) -> NDArray[np.float64]:  # noqa: N802 - the letter says the shape
        """The factor of the learning rate of each weight."""
        factors_P = np.ones(self.inr.layout.num_params)
        for name, tensor in self.inr.layout.split(factors_P).items():
            tensor[...] = self.lr_factors.get(name, 1.0)
        return factors_P

    @cached_property
    def relative_point_weights(self) -> Tensor | None:
        """The weights of the points over their mean; None for equal ones."""
        return None if self.point_weights_BK is None else relative_weights(self.point_weights_BK)

    def predict(self, weights_BP: Tensor, where: Tensor, draws_BM: Tensor | None = None) -> Tensor:
        """Predict values at coordinates, or at what stands in for them, (B, M, C)."""
        if self.observe is None:
            return self.inr(weights_BP, where)
        return self.observe(self.inr, weights_BP, where, draws_BM)

    @property
    def steps_between_looks(self) -> int:
        """Steps between two looks at all points beside the snapshots; 0 for none.

        A look between snapshots can only stop a fit. Where it costs hundreds of steps, as for rays, and nothing stops
        one, there are none.
        """
        if self.num_coords is None:
            return 1
        return 0 if self.observe is not None and self.stop_psnr is None else self.evaluate_every

    def looks_at(self, step: int) -> bool:
        """Whether all points are evaluated at a step."""
        every = self.steps_between_looks
        return step in self.snapshots or (every > 0 and step % every == 0)

    def errors(self, values_BKC: Tensor, index_BM: Tensor | None = None) -> Tensor:
        """The loss of each INR, (B,).

        Args:
            values_BKC: values at all points, or (B, M, C) at those of `index_BM`.
            index_BM: the points that were drawn.
        """
        error = LOSSES[self.loss] if isinstance(self.loss, str) else self.loss
        targets_BKC, weights_BK = self.targets_BKC, self.relative_point_weights
        if index_BM is not None:
            rows = torch.arange(len(index_BM), device=index_BM.device)[:, None]
            targets_BKC = targets_BKC[rows, index_BM]
            weights_BK = None if weights_BK is None else weights_BK[rows, index_BM]
        return mean_error(error(values_BKC, targets_BKC), weights_BK)

    def points(self, index_BM: Tensor) -> Tensor:
        """The coordinates of the points that were drawn, (B, M, D)."""
        if self.shared_coords:
            return self.coords[index_BM]
        return self.coords[torch.arange(len(index_BM), device=index_BM.device)[:, None], index_BM]

    @property
    def stop_loss(self) -> float:
        """The mean squared error at `stop_psnr`; negative, so that none is below it, for never."""
        return -1.0 if self.stop_psnr is None else mse_at(self.stop_psnr, self.value_range)

    def split(self, size: int) -> Iterator[FitProblem]:
        """The same problem, `size` INRs at a time."""
        for first in range(0, len(self.starts_BP), size):
            part = slice(first, first + size)
            yield replace(
                self,
                starts_BP=self.starts_BP[part],
                targets_BKC=self.targets_BKC[part],
                coords=self.coords if self.shared_coords else self.coords[part],
                point_weights_BK=None if self.point_weights_BK is None else self.point_weights_BK[part],
                keys_B=None if self.keys_B is None else self.keys_B[part],
            )

    def products_among(self, products: tuple[str, ...]) -> str:
        """The name in `products` that is asked for; the first one for `auto`.

        Raises:
            ValueError: the one that is asked for is not among them.
        """
        if self.products not in ("auto", *products):
            raise ValueError(f"products must be one of {', '.join(products)}, given {self.products!r}")
        return products[0] if self.products == "auto" else self.products
