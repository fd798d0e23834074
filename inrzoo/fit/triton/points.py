"""The points of a tile and their errors: draws as in `fit/subsets.py`, losses as in `fit/losses.py`."""

import triton
import triton.language as tl


@triton.jit
def draw(key, step, position, num_coords):
    """The coordinates at some positions of a step: the first word of Philox4x32-10, times `num_coords` over 2³²."""
    zero = position * 0
    word, _, _, _ = tl.philox(key, position, zero + step, zero, zero)
    return tl.umulhi(word, num_coords.to(tl.uint32)).to(tl.int32)


@triton.jit
def measure(output, target, inside, BCE: tl.constexpr):
    """The error at each value, f - y squared or log(1 + eᶠ) - y f, and what its slope by f is proportional to:
    f - y or sigmoid(f) - y; the slope is twice the former. Both are 0 where not `inside`.
    """
    if BCE:
        small = tl.exp(-tl.abs(output))  # at most 1, whatever the logit
        total = 1.0 + small
        lost = total == 1.0
        # log(1 + x) = x · log(t) / (t - 1) with t = 1 + x as rounded: exact to rounding for every x (Kahan).
        logarithm = small * tl.where(lost, 1.0, tl.div_rn(tl.log(total), tl.where(lost, 1.0, total - 1.0)))
        error = tl.where(inside, tl.maximum(output, 0.0) + logarithm - target * output, 0.0)
        residual = tl.where(inside, tl.div_rn(tl.where(output >= 0.0, 1.0, small), total) - target, 0.0)
    else:
        residual = tl.where(inside, output - target, 0.0)
        error = residual * residual
    return error, residual


@triton.jit
def compare(output, targets, point_weights, point, coord, count, channel, CHANNELS: tl.constexpr, BCE: tl.constexpr):
    """`measure` of a tile, at the coordinates `coord` of the points `point`, by the weights of the points if any.

    Args:
        output: (TILE, OUT), the INR's values.
        targets: (coordinates, CHANNELS).
        point_weights: (coordinates), or None.
        count: points of this pass; the rest of the last tile, and padded channels, count 0.
    """
    inside = (point < count)[:, None] & (channel < CHANNELS)[None, :]
    target = tl.load(targets + coord[:, None] * CHANNELS + channel[None, :], inside, 0.0)
    error, residual = measure(output, target, inside, BCE)
    if point_weights is not None:
        weight = tl.load(point_weights + coord, point < count, 0.0)[:, None]
        error *= weight
        residual *= weight
    return error, residual
