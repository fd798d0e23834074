"""Frequencies that a store records of an INR: the share above its grid's Nyquist, and a filter network's bound.

Shape letters: B INRs, T snapshots, P parameters, D coordinate dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from inrzoo.choices import AxisOrder, Spacing
from inrzoo.coords import grid
from inrzoo.fit.antialias import frequency_bound
from inrzoo.fit.batches import evaluated
from inrzoo.fit.spectrum import out_of_band
from inrzoo.inrs import INR
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

FINER = 4
"""Factor by which the grid of a spectrum is finer than the fitting grid."""


def frequencies(
    inr: INR,
    weights_BTP: Tensor,
    sizes: tuple[int, ...] | None,
    spacing: Spacing,
    axis_order: AxisOrder,
    extent: float,
    evaluate: Callable[[INR, Tensor, Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Frequencies of INRs fitted on the grid of these arguments.

    Args:
        sizes: points of the grid along each axis; None for INRs that were fitted to points without a grid.
        evaluate: an engine's.

    Returns:
        share of spectral energy outside the Nyquist box, (B, T), see `spectrum.out_of_band`, NaN without a
        grid; frequency bound per axis,
        in radians per coordinate unit, (B, T, D), NaN for a family without one.
    """
    with torch.inference_mode():
        shares = torch.full(weights_BTP.shape[:2], torch.nan, dtype=torch.float64)
        if sizes is not None:
            finer = torch.from_numpy(grid(sizes, spacing, axis_order, extent, FINER)).to(weights_BTP.device)
            rendered = evaluated(inr, weights_BTP, finer, evaluate)
            shares = torch.cat([out_of_band(values.flatten(0, 1), sizes, spacing, FINER) for _, values in rendered])
        filters = inr.filter_frequencies(weights_BTP)
        none = torch.full((*weights_BTP.shape[:2], inr.in_features), torch.nan)
        bound = none if filters is None else frequency_bound(filters)
    return shares.reshape(weights_BTP.shape[:2]), bound
