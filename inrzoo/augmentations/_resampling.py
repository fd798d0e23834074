"""Signals at other places than the points of their grid, by linear interpolation.

Shape letters: D axes of the grid, C channels.
"""

import torch
from torch import Tensor
from torch.nn import functional


def resampled(values: Tensor, matrix_DD: Tensor, shift_D: Tensor) -> Tensor:
    """Return the signal whose value at position x is the given one's at `matrix_DD @ x + shift_D`.

    Positions are numbers of points from the middle of the grid, slowest axis first, so that a step is as long on each
    axis. Outside the grid the signal is its reflection at the outermost points.

    Args:
        values: (*sizes, C), one to three axes.
        matrix_DD: (D, D).
        shift_D: in points, (D,).

    Returns:
        (*sizes, C).
    """
    sizes = values.shape[:-1]
    middle_D = torch.tensor([(size - 1) / 2 for size in sizes])
    points = torch.meshgrid(*(torch.arange(float(size)) for size in sizes), indexing="ij")
    places = (torch.stack(points, dim=-1) - middle_D) @ matrix_DD.T + shift_D
    places = (places / middle_D.clamp(min=0.5)).flip(-1)  # grid_sample names the fastest axis first, from -1 to 1
    batch = values.movedim(-1, 0)
    if len(sizes) == 1:  # grid_sample takes images and volumes alone: a sound is an image of one row
        batch, places = batch[:, None], functional.pad(places, (0, 1))[None]
    sampled = functional.grid_sample(batch[None], places[None], padding_mode="reflection", align_corners=True)
    return sampled[0].reshape(-1, *sizes).movedim(0, -1)
