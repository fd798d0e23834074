"""A kernel that does nothing but draw coordinates, to compare its numbers with those of `fit.subsets`."""

import triton
import triton.language as tl

from inrzoo.fit.triton.points import draw


@triton.jit
def draw_points(keys, indices, step, num_coords, COUNT: tl.constexpr):
    """The first COUNT coordinates of one step of each INR, (INRs, COUNT)."""
    inr, position = tl.program_id(0), tl.arange(0, COUNT)
    tl.store(indices + inr * COUNT + position, draw(tl.load(keys + inr), step, position, num_coords))
