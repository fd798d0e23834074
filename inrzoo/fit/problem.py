"""What an engine is given: INRs, where they start, the signals to fit, and when to stop.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from inrzoo.choices import Products
from inrzoo.fit.antialias import AntiAlias, require_frequencies
from inrzoo.fit.metrics import mse_at
from inrzoo.inrs import INR

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class FitProblem:
    """B INRs of one architecture to be fitted to B signals on one grid. All tensors are on one device.

    Attributes:
        inr: the architecture.
        starts_BP: the weights that fits begin at; no engine changes them.
        coords_KD: the grid that all INRs share.
        targets_BKC: the values to fit, inside `value_range`.
        lr: Adam's learning rate, above 0.
        snapshots: step counts at which weights are kept, ascending; the last one is the length of the fit. 0 is the
            start itself.
        stop_psnr: the PSNR, in dB, at which an INR stops; None for never.
        value_range: lowest and highest value of a signal, as in `metrics.psnr`.
        antialias: what is done against frequencies above the grid's. Loss, PSNR and the stop remain those of the mean
            squared error alone.
        nyquist_D: `coords.nyquist` of the grid, radians per coordinate unit; used with `antialias` alone.
        products: how matrix products are made of float32 numbers; `auto` is the default of the engine.

    Raises:
        ValueError: snapshots that are empty, negative or not ascending; targets of another shape; `antialias` without
            `nyquist_D`.
        InrzooError: `antialias` for an architecture without a frequency bound.
    """

    inr: INR
    starts_BP: Tensor
    coords_KD: Tensor
    targets_BKC: Tensor
    _: KW_ONLY
    lr: float
    snapshots: Sequence[int]
    stop_psnr: float | None = None
    value_range: tuple[float, float] = (-1.0, 1.0)
    antialias: AntiAlias | None = None
    nyquist_D: Tensor | None = None
    products: Products = "auto"

    def __post_init__(self) -> None:
        """Reject what no engine could fit."""
        snapshots = self.snapshots
        if not snapshots or snapshots[0] < 0 or any(a >= b for a, b in pairwise(snapshots)):
            raise ValueError(f"snapshots must ascend from 0, given {list(snapshots)}")
        shape = (len(self.starts_BP), len(self.coords_KD), self.inr.out_features)
        if self.targets_BKC.shape != shape:
            raise ValueError(
                f"targets of {shape[0]} INRs on {shape[1]} coordinates have shape {shape}, "
                f"given {tuple(self.targets_BKC.shape)}"
            )
        if self.antialias is not None:
            require_frequencies(self.inr, self.starts_BP)
            if self.nyquist_D is None or self.nyquist_D.shape != (self.inr.in_features,):
                raise ValueError(
                    f"antialias needs nyquist_D, one frequency for each of {self.inr.in_features} coordinates"
                )

    @property
    def stop_loss(self) -> float:
        """The mean squared error at `stop_psnr`; negative, so that none is below it, for never."""
        return -1.0 if self.stop_psnr is None else mse_at(self.stop_psnr, self.value_range)

    def split(self, size: int) -> Iterator[FitProblem]:
        """The same problem, `size` INRs at a time."""
        for starts_BP, targets_BKC in zip(self.starts_BP.split(size), self.targets_BKC.split(size), strict=True):
            yield replace(self, starts_BP=starts_BP, targets_BKC=targets_BKC)

    def products_among(self, products: tuple[str, ...]) -> str:
        """The name in `products` that is asked for; the first one for `auto`.

        Raises:
            ValueError: the one that is asked for is not among them.
        """
        if self.products not in ("auto", *products):
            raise ValueError(f"products must be one of {', '.join(products)}, given {self.products!r}")
        return products[0] if self.products == "auto" else self.products
