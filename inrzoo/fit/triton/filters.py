"""Forward and backward pass of a multiplicative filter network (Fathony et al. 2021) over all coordinates, by tiles:

    z = g₀(x);   z ← (W z + b) ⊙ gᵢ(x);   f(x) = W z + b,      g = sin(ω x + φ), for Gabor times exp(-γ/2 |x - μ|²)

The maths are those of native/mfn.h; ω and φ are kept divided by π. Widths are padded as in `perceptron`.
"""

import triton
import triton.language as tl

from inrzoo.fit.triton.arithmetic import add_column_sums, replaced, sine_and_slope
from inrzoo.fit.triton.points import compare, draw


@triton.jit
def exponent(mu, feature, unit, DIMENSIONS: tl.constexpr, HIDDEN: tl.constexpr):
    """Return the factors of (x, 1, |x|²) that give -γ/2 |x - μ|² = γμ·x - γ/2 |μ|² - γ/2 |x|², as in the reference.

    `mu` points at μ (DIMENSIONS, HIDDEN) and γ behind it. Shape (inputs, HIDDEN).
    """
    gamma = tl.load(mu + DIMENSIONS * HIDDEN + unit)[None, :]
    square = tl.zeros_like(gamma)
    total = tl.where(feature[:, None] == DIMENSIONS + 1, -0.5 * gamma, 0.0)
    for d in tl.static_range(DIMENSIONS):
        mean = tl.load(mu + d * HIDDEN + unit)[None, :]
        square += mean * mean
        total += tl.where(feature[:, None] == d, gamma * mean, 0.0)
    return total + tl.where(feature[:, None] == DIMENSIONS, -0.5 * gamma * square, 0.0)


@triton.jit
def row(matrix, index: tl.constexpr):
    """Row `index` of (16, n)."""
    return tl.sum(tl.where(tl.arange(0, matrix.shape[0])[:, None] == index, matrix, 0.0), 0)


@triton.jit
def filters_gradient(
    weights,
    gradients,
    rows,
    targets,
    point_weights,
    key,
    step,
    num_coords,
    count,
    share,
    DIMENSIONS: tl.constexpr,
    INPUTS: tl.constexpr,
    HIDDEN: tl.constexpr,
    FILTERS: tl.constexpr,
    CHANNELS: tl.constexpr,
    OUT: tl.constexpr,
    GABOR: tl.constexpr,
    TILE: tl.constexpr,
    PRODUCTS: tl.constexpr,
    EXACT: tl.constexpr,
    BCE: tl.constexpr,
    BACKWARD: tl.constexpr,
):
    """Writes the gradient of the loss to `gradients`, if `BACKWARD`; returns the sum of the errors.

    Flat vector, for each filter: ω (DIMENSIONS, HIDDEN) and φ; for Gabor μ (DIMENSIONS, HIDDEN) and γ; then the map
    behind it, W (HIDDEN, HIDDEN), rows its inputs, and b; behind the last filter W (HIDDEN, OUT) and b (OUT).

    Args:
        rows: (coordinates, INPUTS): the coordinates, 1, for Gabor |x|², zeros.
        point_weights, key, step, num_coords, count, share: as in `perceptron_gradient`.
    """
    WAVE: tl.constexpr = (DIMENSIONS + 1) * HIDDEN
    FILTER: tl.constexpr = 2 * WAVE if GABOR else WAVE
    STRIDE: tl.constexpr = FILTER + (HIDDEN + 1) * HIDDEN
    LAST: tl.constexpr = (FILTERS - 1) * STRIDE + FILTER
    unit, feature, channel = tl.arange(0, HIDDEN), tl.arange(0, INPUTS), tl.arange(0, OUT)
    any_row = tl.arange(0, 16)[:, None]
    wave_at = feature[:, None] * HIDDEN + unit[None, :]
    hidden_at = unit[:, None] * HIDDEN + unit[None, :]
    last_at = LAST + unit[:, None] * OUT + channel[None, :]

    errors, error_sums = tl.zeros([TILE, OUT], tl.float32), tl.zeros([TILE, OUT], tl.float32)
    if BACKWARD:
        last_gradient = tl.zeros([HIDDEN, OUT], tl.float32)
        wave_gradients, envelope_moments, weight_gradients, bias_gradients = (), (), (), ()
        for i in tl.static_range(FILTERS):
            wave_gradients += (tl.zeros([INPUTS, HIDDEN], tl.float32),)
            if GABOR:
                envelope_moments += (tl.zeros([INPUTS, HIDDEN], tl.float32),)
            if i > 0:
                weight_gradients += (tl.zeros([HIDDEN, HIDDEN], tl.float32),)
                bias_gradients += (tl.zeros([16, HIDDEN], tl.float32),)

    exponents = ()
    if GABOR:
        for i in tl.static_range(FILTERS):
            mu_at = weights + i * STRIDE + WAVE
            exponents += (exponent(mu_at, feature, unit, DIMENSIONS, HIDDEN),)

    for first in range(0, count, TILE):
        point = first + tl.arange(0, TILE)
        coord = point if key is None else draw(key, step, point, num_coords)
        x = tl.load(rows + coord[:, None] * INPUTS + feature[None, :])
        filters, slopes, maps, values = (), (), (), ()
        z = tl.zeros([TILE, HIDDEN], tl.float32)
        for i in tl.static_range(FILTERS):
            here = weights + i * STRIDE
            wave = tl.load(here + wave_at, feature[:, None] <= DIMENSIONS, 0.0)
            g, slope = sine_and_slope(tl.dot(x, wave, input_precision=EXACT))
            if GABOR:
                envelope = tl.exp(tl.dot(x, exponents[i], input_precision=EXACT))
                g *= envelope
                slope *= envelope
            filters += (g,)
            slopes += (slope,)
            if i == 0:
                z = g
            else:
                weight = tl.load(here - STRIDE + FILTER + hidden_at)
                bias = tl.load(here - HIDDEN + unit)
                linear = tl.dot(z, weight, input_precision=PRODUCTS) + bias[None, :]
                maps += (linear,)
                z = linear * g
            values += (z,)

        last_weight = tl.load(weights + last_at)
        last_bias = tl.load(weights + LAST + HIDDEN * OUT + channel)
        output = tl.dot(z, last_weight, input_precision=PRODUCTS) + last_bias[None, :]
        value_error, residual = compare(output, targets, point_weights, point, coord, count, channel, CHANNELS, BCE)
        errors += value_error

        if BACKWARD:
            error = residual * share

            error_sums += error
            last_gradient = tl.dot(tl.trans(z), error, last_gradient, input_precision=PRODUCTS)
            above = tl.dot(error, tl.trans(last_weight), input_precision=PRODUCTS)  # ∂loss/∂z
            for i in tl.static_range(FILTERS - 1, -1, -1):
                at_filter = above * maps[i - 1] if i > 0 else above
                wave = tl.dot(tl.trans(x), at_filter * slopes[i], wave_gradients[i], input_precision=PRODUCTS)
                wave_gradients = replaced(wave_gradients, i, wave)
                if GABOR:
                    scaled = at_filter * filters[i]
                    moments = tl.dot(tl.trans(x), scaled, envelope_moments[i], input_precision=PRODUCTS)
                    envelope_moments = replaced(envelope_moments, i, moments)
                if i > 0:
                    above = above * filters[i]
                    sums = add_column_sums(above, bias_gradients[i - 1], PRODUCTS)
                    bias_gradients = replaced(bias_gradients, i - 1, sums)
                    product = tl.dot(tl.trans(values[i - 1]), above, weight_gradients[i - 1], input_precision=PRODUCTS)
                    weight_gradients = replaced(weight_gradients, i - 1, product)
                    weight = tl.load(weights + (i - 1) * STRIDE + FILTER + hidden_at)
                    above = tl.dot(above, tl.trans(weight), input_precision=PRODUCTS)

    if BACKWARD:
        for i in tl.static_range(FILTERS):
            # The column of ones makes the row behind ω's the gradient of φ, which is where φ stands.
            tl.store(gradients + i * STRIDE + wave_at, wave_gradients[i], feature[:, None] <= DIMENSIONS)
            if GABOR:
                # With s = ∂loss/∂g · g:  ∂/∂γ = -½ Σ s |x - μ|²,  ∂/∂μ = γ Σ s (x - μ), multiplied out into the moments
                # Σ s x, Σ s and Σ s |x|², as autograd does for the reference's form of the envelope.
                weight_of_s = row(envelope_moments[i], DIMENSIONS)
                spread = row(envelope_moments[i], DIMENSIONS + 1)
                gamma = tl.load(weights + i * STRIDE + 2 * WAVE - HIDDEN + unit)
                for d in tl.static_range(DIMENSIONS):
                    mu_at = i * STRIDE + WAVE + d * HIDDEN + unit
                    mu = tl.load(weights + mu_at)
                    moment = row(envelope_moments[i], d)
                    spread += mu * (mu * weight_of_s - 2.0 * moment)
                    tl.store(gradients + mu_at, gamma * (moment - mu * weight_of_s))
                tl.store(gradients + i * STRIDE + 2 * WAVE - HIDDEN + unit, -0.5 * spread)
            if i > 0:
                tl.store(gradients + i * STRIDE - (HIDDEN + 1) * HIDDEN + hidden_at, weight_gradients[i - 1])
                bias_at = i * STRIDE - HIDDEN + unit[None, :] + 0 * any_row
                tl.store(gradients + bias_at, bias_gradients[i - 1], any_row == 0)
        tl.store(gradients + last_at, last_gradient)
        tl.store(gradients + LAST + HIDDEN * OUT + channel, tl.sum(error_sums, 0))
    return tl.sum(errors)
