"""The share of an INR's energy above the Nyquist frequency of the grid that it was fitted on.

Evaluate the INR on a finer grid, transform, compare: frequencies outside the Nyquist box of the fitting grid cannot
have been learned from it. Fig. 2 (e, f) of "Contrastive implicit representation learning" shows this spectrum and gives
no number; the number here is ours.
Formulas: docs/derivations/grids.md#out-of-band-energy.

Shape letters: B batch of INRs, K coordinates of the finer grid, C channels, D axes of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inrzoo.choices import Spacing
from inrzoo.coords import nyquist
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


def out_of_band(values_BKC: Tensor, sizes: Sequence[int], spacing: Spacing = "end_points", finer: int = 4) -> Tensor:
    """Share of each INR's spectral energy outside the Nyquist box of its fitting grid.

    The energy is that of `spectrum`: all channels together, DC removed, under a Hann window. The box is |Ω_c| ≤ π/Δ_c
    on every axis c. The window spreads a line over two bins to either side (two bins are 2π radians per coordinate
    unit), so energy within that distance of the box's side counts partly on the other. A constant has a share of 0,
    an INR whose values are not finite NaN.

    Args:
        values_BKC: values on `grid(sizes, spacing, finer=finer)`, row-major.
        sizes: points along each axis of the *fitting* grid, slowest axis first. Any number of axes.
        spacing: of both grids.
        finer: how many times more points the grid of `values_BKC` has along each axis.

    Returns:
        Shape (B,), float64, between 0 and 1. White noise has about 1 − 1/finer^D.

    Raises:
        ValueError: values that are not on that grid; an axis with fewer than three points.
    """
    signals, axes = _windowed(values_BKC, sizes, finer), range(2, 2 + len(sizes))
    fine_sizes, device = signals.shape[2:], signals.device
    # A real signal's spectrum is the same at −f as at f: half of the last axis says all, counted twice.
    half = fine_sizes[-1] // 2 + 1
    energy = torch.fft.rfftn(signals, dim=tuple(axes)).abs().square().mean(dim=1)
    twice = torch.full((half,), 2.0, dtype=torch.float64, device=device)
    twice[0] = 1.0
    if fine_sizes[-1] % 2 == 0:
        twice[-1] = 1.0
    inside = torch.ones(energy.shape[1:], dtype=torch.bool, device=device)
    limits = nyquist(tuple(sizes), spacing) / nyquist(tuple(fine_sizes), spacing) / 2  # cycles per point, finer grid
    for axis, (size, limit) in enumerate(zip(fine_sizes, limits, strict=True)):
        cycles = torch.fft.fftfreq(size, dtype=torch.float64, device=device)[: energy.shape[axis + 1]]
        # A bin exactly on the side is inside, whatever the rounding of the two numbers.
        inside &= _along(cycles.abs() <= limit * (1 + 1e-12), axis, len(fine_sizes))
    energy = energy * twice
    total_B = energy.flatten(1).sum(dim=1)
    outside_B = (energy * ~inside).flatten(1).sum(dim=1)
    return torch.where(total_B == 0, 0.0, outside_B / total_B)


def spectrum(values_BKC: Tensor, sizes: Sequence[int], finer: int = 4) -> Tensor:
    """Spectral energy of each INR, the mean over channels; the zero frequency first on each axis, as in `torch.fft`.

    A separable Hann window comes first: the signal is not periodic, and without a window the jump between its opposite
    edges would spread energy over all frequencies and count as aliasing. The mean that is removed is the one under the
    window, so that the zero frequency is empty.

    Args:
        values_BKC: as in `out_of_band`, with `sizes` and `finer`.

    Returns:
        Shape (B, *(size · finer)), float64.

    Raises:
        ValueError: as `out_of_band`.
    """
    signals = _windowed(values_BKC, sizes, finer)
    energy: Tensor = torch.fft.fftn(signals, dim=tuple(range(2, signals.ndim))).abs().square().mean(dim=1)
    return energy


def _windowed(values_BKC: Tensor, sizes: Sequence[int], finer: int) -> Tensor:
    """The signals that are transformed: on their grid, centred, under the window. (B, C, *(size · finer)), float64."""
    fine_sizes = [size * finer for size in sizes]
    num_axes = len(fine_sizes)
    if values_BKC.ndim != 3 or values_BKC.shape[1] != torch.Size(fine_sizes).numel() or min(fine_sizes) < 3:
        raise ValueError(
            f"values {tuple(values_BKC.shape)} are not (B, K, C) on a grid of {fine_sizes}, 3 or more each"
        )
    values = values_BKC.detach().to(torch.float64).transpose(1, 2).unflatten(2, fine_sizes)  # (B, C, *fine_sizes)
    axes = tuple(range(2, 2 + num_axes))
    window = torch.ones(fine_sizes, dtype=torch.float64, device=values.device)
    for axis, size in enumerate(fine_sizes):
        # The periodic one: it spreads a line at the centre of a bin over exactly three bins.
        hann = torch.hann_window(size, periodic=True, dtype=torch.float64, device=values.device)
        window = window * _along(hann, axis, num_axes)
    mean = (values * window).sum(dim=axes, keepdim=True) / window.sum()
    centred = values - mean
    # What rounding leaves of a constant is not a signal.
    noise = 64 * torch.finfo(torch.float64).eps * values.abs().amax(dim=axes, keepdim=True)
    centred = torch.where(centred.abs().amax(dim=axes, keepdim=True) <= noise, 0.0, centred)
    return centred * window


def _along(values: Tensor, axis: int, num_axes: int) -> Tensor:
    """A vector laid along one axis of a grid, to be broadcast over the others."""
    return values.reshape([-1 if i == axis else 1 for i in range(num_axes)])
