"""Volume rendering: what is seen along a ray through a medium that emits light and absorbs it.
Formulas: docs/derivations/volume_rendering.md#quadrature.

A ray is cut into S intervals, in each of which density and colour are constant. Conventions and names are nerfacc's
(Li et al. 2023, arXiv 2305.04966); the quadrature is that of Max 1995, as in NeRF (Mildenhall et al. 2020, eq. 3).

Shape letters: S samples of a ray, C channels; leading dimensions (...) count rays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


def box_interval(origins: Tensor, directions: Tensor, half_width: float = 1.0) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the cube [-half_width, half_width]^3, in units of the length of their direction.

    By slabs (Kay & Kajiya 1986). A ray that starts inside enters at 0; one that misses the cube, or has it behind,
    enters and leaves at 0.

    Args:
        origins, directions: (..., 3).

    Returns:
        near, far: (...), 0 ≤ near ≤ far.

    Example:
        >>> near, far = box_interval(torch.tensor([0.0, 0.0, 3.0]), torch.tensor([0.0, 0.0, -1.0]))
        >>> near.item(), far.item()
        (2.0, 4.0)
    """
    # A direction of 0 along an axis gives ±inf, or NaN on the face itself, where the ray touches the cube.
    first, second = (-half_width - origins) / directions, (half_width - origins) / directions
    near = torch.minimum(first, second).nan_to_num(nan=-torch.inf, neginf=-torch.inf, posinf=torch.inf)
    far = torch.maximum(first, second).nan_to_num(nan=torch.inf, neginf=-torch.inf, posinf=torch.inf)
    entered, left = near.amax(dim=-1).clamp(min=0.0), far.amin(dim=-1)
    hit = left > entered
    return torch.where(hit, entered, 0.0), torch.where(hit, left, 0.0)


def transmittance(thickness: Tensor) -> Tensor:
    """The share of light that reaches the viewer from the start of each interval: T_i = exp(−Σ_{j<i} σ_j δ_j).

    Args:
        thickness: σ δ of each interval, density times length, (..., S), 0 or more.

    Returns:
        (..., S), from 1 to 0, the first one 1.
    """
    # The sum up to and with an interval minus its own part would not be exactly 0 at the first one.
    before = torch.cat([torch.zeros_like(thickness[..., :1]), thickness[..., :-1].cumsum(dim=-1)], dim=-1)
    return (-before).exp()


def sample_weights(thickness: Tensor) -> Tensor:
    """The weight of each interval in a ray's colour: w_i = T_i α_i with the opacity α_i = 1 − exp(−σ_i δ_i).

    Their sum is the opacity of the ray, 1 − exp(−Σ σ δ).

    Args:
        thickness: as for `transmittance`.

    Returns:
        (..., S), 0 or more, with a sum of at most 1.

    Example:
        >>> sample_weights(torch.tensor([0.0, torch.inf, 1.0]))
        tensor([0., 1., 0.])
    """
    return transmittance(thickness) * -torch.expm1(-thickness)


def composite(weights: Tensor, colours: Tensor, background: Tensor | float) -> Tensor:
    """The colour of rays: Σ w_i c_i + (1 − Σ w_i) background.

    Args:
        weights: (..., S).
        colours: (..., S, C).
        background: one colour for all rays and channels, or a tensor that broadcasts.

    Returns:
        (..., C).
    """
    seen = (weights[..., None] * colours).sum(dim=-2)
    return seen + (1.0 - weights.sum(dim=-1, keepdim=True)) * background


def expected_depth(weights: Tensor, distances: Tensor) -> Tensor:
    """The mean distance of what a ray sees, Σ w_i t_i / Σ w_i; NaN for a ray that sees nothing.

    Args:
        weights, distances: of the intervals, (..., S).

    Returns:
        (...).
    """
    return (weights * distances).sum(dim=-1) / weights.sum(dim=-1)
