"""Volume rendering: what is seen along a ray through a medium that emits light and absorbs it.
Formulas: docs/derivations/volume_rendering.md#quadrature.

A ray is cut into S intervals, in each of which density and colour are constant. Conventions and names are nerfacc's
(Li et al. 2023, arXiv 2305.04966); the quadrature is that of Max 1995, as in NeRF (Mildenhall et al. 2020, eq. 3).

Shape letters: B INRs, P parameters, K rays, S samples of a ray, C channels; leading dimensions (...) count rays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

ValuesAt: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""Values of INRs, (B, K, outputs), of their weights, (B, P), at coordinates, (B, K, 3)."""
Observer: TypeAlias = "Callable[[ValuesAt, Tensor, Tensor, Tensor | None], Tensor]"
"""A prediction, (B, K, C), by the INR's function, weights (B, P), what stands in for coordinates, (B, K, R), and a
random number in [0, 1) of each point, (B, K), or None for a deterministic one. `VolumeRenderer` is one."""
Density: TypeAlias = Literal["softplus", "relu"]
POINTS_AT_ONCE = 2**14
"""Points at which INRs are evaluated at once where no gradient is taken: on a core, 2^16 take twice as long."""


@dataclass(frozen=True, kw_only=True)
class VolumeRenderer:
    """Predicts pixels from INRs of a radiance field: C colours and a density at each position of a cube.

    Attributes:
        samples: S, intervals of a ray.
        density: see `density_scale`.
        density_scale, density_shift: the density of an output x is scale · softplus(x + shift) or, for `relu`,
            scale · max(0, x + shift), per unit of length of [-1, 1]^3.
        background: what is seen behind the cube, in every channel.
        value_range: ends of the range of colours, which the outputs reach by a sigmoid.
        extent: the INR reads extent · position.

    Example:
        >>> renderer = VolumeRenderer(samples=8)
        >>> empty = lambda weights, points: torch.full((*points.shape[:-1], 4), -100.0)
        >>> ray = torch.tensor([[[0.0, 0.0, 3.0, 0.0, 0.0, -1.0]]])
        >>> renderer(empty, torch.zeros(1, 1), ray)
        tensor([[[1., 1., 1.]]])
    """

    samples: int
    density: Density = "softplus"
    density_scale: float = 1.0
    density_shift: float = 0.0
    background: float = 1.0
    value_range: tuple[float, float] = (0.0, 1.0)
    extent: float = 1.0

    def __call__(
        self, values_at: ValuesAt, weights_BP: Tensor, rays_BK6: Tensor, draws_BK: Tensor | None = None
    ) -> Tensor:
        """Predict the pixels of rays.

        Args:
            values_at: the INR's function.
            weights_BP: weights of INRs.
            rays_BK6: origins and unit directions in the units of [-1, 1]^3.
            draws_BK: the place of the samples of each ray in their intervals, in [0, 1); None for the middles.

        Returns:
            (B, K, C).
        """
        if torch.is_grad_enabled():
            return self._rendered(values_at, weights_BP, rays_BK6, draws_BK)
        at_once = max(1, POINTS_AT_ONCE // (self.samples * len(rays_BK6)))
        rays = rays_BK6.split(at_once, dim=1)
        draws = (None,) * len(rays) if draws_BK is None else draws_BK.split(at_once, dim=1)
        parts = [self._rendered(values_at, weights_BP, *part) for part in zip(rays, draws, strict=True)]
        return torch.cat(parts, dim=1)

    def _rendered(self, values_at: ValuesAt, weights_BP: Tensor, rays_BK6: Tensor, draws_BK: Tensor | None) -> Tensor:
        origins, directions = rays_BK6.split(3, dim=-1)
        near, far = box_interval(origins, directions)
        lengths = (far - near)[..., None] / self.samples
        places = 0.5 if draws_BK is None else draws_BK[..., None]
        distances = near[..., None] + lengths * (torch.arange(self.samples, device=near.device) + places)
        points = origins[..., None, :] + distances[..., None] * directions[..., None, :]
        outputs = values_at(weights_BP, (self.extent * points).flatten(1, 2)).unflatten(1, distances.shape[1:])
        shifted = outputs[..., -1] + self.density_shift
        bent = torch.nn.functional.softplus(shifted) if self.density == "softplus" else shifted.relu()
        low, high = self.value_range
        colours = low + (high - low) * outputs[..., :-1].sigmoid()
        return composite(sample_weights(self.density_scale * bent * lengths), colours, self.background)


def predicted(
    observe: Observer | None, values_at: ValuesAt, weights_BP: Tensor, where: Tensor, draws_BK: Tensor | None = None
) -> Tensor:
    """Predict the values of signals, (B, K, C): by an observer, or without one those of INRs at coordinates `where`."""
    return values_at(weights_BP, where) if observe is None else observe(values_at, weights_BP, where, draws_BK)


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
