"""Forward and backward pass of a multilayer perceptron, SIREN or ReLU, over all coordinates, one tile after the other.

The maths, and how ω/π is folded into the weights of sine layers, are those of native/mlp.h. Widths are padded to powers
of two of at least 16; what pads begins at zero, has values and gradients of zero, and stays there.
"""

import triton
import triton.language as tl

from inrzoo.fit.triton.arithmetic import activate, add_column_sums, replaced
from inrzoo.fit.triton.points import compare, draw


@triton.jit
def perceptron_gradient(
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
    NUM_INPUTS: tl.constexpr,
    INPUTS: tl.constexpr,
    HIDDEN: tl.constexpr,
    LAYERS: tl.constexpr,
    CHANNELS: tl.constexpr,
    OUT: tl.constexpr,
    OFFSET: tl.constexpr,
    SINE: tl.constexpr,
    TILE: tl.constexpr,
    PRODUCTS: tl.constexpr,
    EXACT: tl.constexpr,
    BCE: tl.constexpr,
    BACKWARD: tl.constexpr,
):
    """Writes the gradient of the loss to `gradients`, if `BACKWARD`; returns the sum of the errors.

    Flat vector: W₀ (inputs, HIDDEN) and b₀; for each further layer W (HIDDEN, HIDDEN), rows its inputs, and b; then the
    output's W (HIDDEN, OUT) and b (OUT).

    Args:
        rows: (coordinates, INPUTS), what the first layer sees, then a column of ones, then zeros.
        point_weights: (coordinates), or None.
        key: of the INR's draws, or None for a pass over all coordinates.
        count: points of this pass: drawn ones, or all.
        share: the slope of the mean error by a value, over the residual of `measure`.
    """
    FIRST: tl.constexpr = (NUM_INPUTS + 1) * HIDDEN
    LAYER: tl.constexpr = (HIDDEN + 1) * HIDDEN
    LAST: tl.constexpr = FIRST + (LAYERS - 1) * LAYER
    unit, feature, channel = tl.arange(0, HIDDEN), tl.arange(0, INPUTS), tl.arange(0, OUT)
    any_row = tl.arange(0, 16)[:, None]
    first_at = feature[:, None] * HIDDEN + unit[None, :]
    hidden_at = unit[:, None] * HIDDEN + unit[None, :]
    last_at = LAST + unit[:, None] * OUT + channel[None, :]

    errors, error_sums = tl.zeros([TILE, OUT], tl.float32), tl.zeros([TILE, OUT], tl.float32)
    if BACKWARD:
        first_gradient = tl.zeros([INPUTS, HIDDEN], tl.float32)
        last_gradient = tl.zeros([HIDDEN, OUT], tl.float32)
        weight_gradients, bias_gradients = (), ()
        for _ in tl.static_range(1, LAYERS):
            weight_gradients += (tl.zeros([HIDDEN, HIDDEN], tl.float32),)
            bias_gradients += (tl.zeros([16, HIDDEN], tl.float32),)

    for first in range(0, count, TILE):
        point = first + tl.arange(0, TILE)
        coord = point if key is None else draw(key, step, point, num_coords)
        x = tl.load(rows + coord[:, None] * INPUTS + feature[None, :])
        first_weight = tl.load(weights + first_at, feature[:, None] <= NUM_INPUTS, 0.0)
        value, slope = activate(tl.dot(x, first_weight, input_precision=EXACT), SINE)
        values, slopes = (value,), (slope,)
        for i in tl.static_range(1, LAYERS):
            weight = tl.load(weights + FIRST + (i - 1) * LAYER + hidden_at)
            bias = tl.load(weights + FIRST + (i - 1) * LAYER + HIDDEN * HIDDEN + unit)
            value, slope = activate(tl.dot(value, weight, input_precision=PRODUCTS) + bias[None, :], SINE)
            values += (value,)
            slopes += (slope,)

        last_weight = tl.load(weights + last_at)
        last_bias = tl.load(weights + LAST + HIDDEN * OUT + channel)
        output = tl.dot(value, last_weight, input_precision=PRODUCTS) + (last_bias + OFFSET)[None, :]
        value_error, residual = compare(output, targets, point_weights, point, coord, count, channel, CHANNELS, BCE)
        errors += value_error

        if BACKWARD:
            error = residual * share

            error_sums += error
            last_gradient = tl.dot(tl.trans(value), error, last_gradient, input_precision=PRODUCTS)
            delta = tl.dot(error, tl.trans(last_weight), input_precision=PRODUCTS) * slope
            for below in tl.static_range(LAYERS - 2, -1, -1):  # `delta` is at layer below + 1
                bias_gradients = replaced(
                    bias_gradients, below, add_column_sums(delta, bias_gradients[below], PRODUCTS)
                )
                product = tl.dot(tl.trans(values[below]), delta, weight_gradients[below], input_precision=PRODUCTS)
                weight_gradients = replaced(weight_gradients, below, product)
                weight = tl.load(weights + FIRST + below * LAYER + hidden_at)
                delta = tl.dot(delta, tl.trans(weight), input_precision=PRODUCTS) * slopes[below]
            first_gradient = tl.dot(tl.trans(x), delta, first_gradient, input_precision=PRODUCTS)

    if BACKWARD:
        # The column of ones makes the row behind W₀'s the gradient of b₀, which is where b₀ stands.
        tl.store(gradients + first_at, first_gradient, feature[:, None] <= NUM_INPUTS)
        for i in tl.static_range(LAYERS - 1):
            tl.store(gradients + FIRST + i * LAYER + hidden_at, weight_gradients[i])
            bias_at = FIRST + i * LAYER + HIDDEN * HIDDEN + unit[None, :] + 0 * any_row
            tl.store(gradients + bias_at, bias_gradients[i], any_row == 0)
        tl.store(gradients + last_at, last_gradient)
        tl.store(gradients + LAST + HIDDEN * OUT + channel, tl.sum(error_sums, 0))
    return tl.sum(errors)
