"""Arithmetic of the kernels: sine and cosine, an activation, sums over coordinates, and Adam over a flat vector."""

import math

import triton
import triton.language as tl

# Minimax on [-1/2, 1/2], as in native/vector.h: sin(πr)/r as a polynomial in r², and (cos(πr) - 1)/r², here times π.
SINE_0 = tl.constexpr(3.141592640)
SINE_1 = tl.constexpr(-5.167710090)
SINE_2 = tl.constexpr(2.550077660)
SINE_3 = tl.constexpr(-5.982921605e-01)
SINE_4 = tl.constexpr(7.765941047e-02)
PI = tl.constexpr(math.pi)
COSINE_1 = tl.constexpr(-4.934802197 * math.pi)
COSINE_2 = tl.constexpr(4.058711418 * math.pi)
COSINE_3 = tl.constexpr(-1.335240022 * math.pi)
COSINE_4 = tl.constexpr(2.350747612e-01 * math.pi)
COSINE_5 = tl.constexpr(-2.462789779e-02 * math.pi)
ROUND = tl.constexpr(12582912.0)
NORM_EPSILON = tl.constexpr(1e-6)  # as in descent.py


@triton.jit
def sine_and_slope(x):
    """sin(πx) and its slope π cos(πx), within 3e-7 and 1e-6.

    Adding and subtracting 1.5·2²³ rounds x to the nearest integer exactly; what is left, in [-1/2, 1/2], goes through
    two polynomials; both change sign where the integer is odd. `tl.sin` is many times slower, and `sin.approx` would be
    inline assembly that no test here can run.
    """
    shifted = x + ROUND
    r = x - (shifted - ROUND)
    odd = shifted.to(tl.int32, bitcast=True) << 31
    q = r * r
    sine = ((((SINE_4 * q + SINE_3) * q + SINE_2) * q + SINE_1) * q + SINE_0) * r
    slope = ((((COSINE_5 * q + COSINE_4) * q + COSINE_3) * q + COSINE_2) * q + COSINE_1) * q + PI
    return (
        (sine.to(tl.int32, bitcast=True) ^ odd).to(tl.float32, bitcast=True),
        (slope.to(tl.int32, bitcast=True) ^ odd).to(tl.float32, bitcast=True),
    )


@triton.jit
def activate(z, SINE: tl.constexpr):
    """σ(z) and its slope: sin(πz) and π cos(πz), or max(0, z), which lets NaN through, and 0 or 1."""
    if SINE:
        value, slope = sine_and_slope(z)
    else:
        value = tl.where(z < 0.0, 0.0, z)
        slope = tl.where(z > 0.0, 1.0, 0.0)
    return value, slope


@triton.jit
def add_column_sums(values, total, PRODUCTS: tl.constexpr):
    """`total` (16, n) plus the column sums of `values` in each of its rows.

    By a product with ones: reductions along coordinates would be a third of a step's instructions.
    """
    ones = tl.full([16, values.shape[0]], 1.0, tl.float32)
    return tl.dot(ones, values, total, input_precision=PRODUCTS)


@triton.jit
def replaced(items, position: tl.constexpr, item):
    """The tuple with the item at `position` replaced."""
    return items[:position] + (item,) + items[position + 1 :]  # noqa: RUF005 - Triton knows no starred items


@triton.jit
def clip_factor(gradients, own_scales, max_norm, SIZE: tl.constexpr, BLOCK: tl.constexpr):
    """Return the factor that clips the gradient to `max_norm`, an L2 norm of the gradient by the INR's own parameters.

    A kernel's parameter is `own_scales` times the INR's, and so is the INR's gradient times the kernel's.
    """
    squares = tl.zeros([BLOCK], tl.float32)
    for first in range(0, SIZE, BLOCK):
        at = first + tl.arange(0, BLOCK)
        own = tl.load(gradients + at, at < SIZE, 0.0) * tl.load(own_scales + at, at < SIZE, 0.0)
        squares += own * own
    norm = tl.sqrt_rn(tl.sum(squares))
    return tl.minimum(tl.div_rn(max_norm, norm + NORM_EPSILON), 1.0)


@triton.jit
def step_adam(
    weights, gradients, means, squares, scales, epsilons, factors, rate, correction, decay, clip,
    SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One step of Adam (Kingma & Ba 2015) over the flat vector of one INR.

    `rate` is lr / (1 - β₁ᵗ), `correction` 1/√(1 - β₂ᵗ). A kernel's parameter is `scales` times the INR's and its ε in
    `epsilons` shrinks accordingly, so that the update is Adam's own (native/adam.h). `scales` includes the factor of a
    tensor's learning rate. First gradients are multiplied by `clip` and weights by 1 - `decay` · `factors`; None leaves
    either out.
    """
    for first in range(0, SIZE, BLOCK):
        at = first + tl.arange(0, BLOCK)
        inside = at < SIZE
        gradient = tl.load(gradients + at, inside, 0.0)
        if clip is not None:
            gradient *= clip
        mean = tl.load(means + at, inside, 0.0)
        square = tl.load(squares + at, inside, 0.0)
        mean += 0.1 * (gradient - mean)
        square = 0.999 * square + 0.001 * gradient * gradient
        size = tl.div_rn(mean, tl.sqrt_rn(square) * correction + tl.load(epsilons + at, inside, 1.0))
        weight = tl.load(weights + at, inside, 0.0)
        if factors is not None:
            weight *= 1.0 - decay * tl.load(factors + at, inside, 0.0)
        weight -= rate * tl.load(scales + at, inside, 0.0) * size
        tl.store(means + at, mean, inside)
        tl.store(squares + at, square, inside)
        tl.store(weights + at, weight, inside)
