"""The persistent kernel: one program fits one INR from the first step to the last.

Nothing is shared between programs, so that the bits of an INR depend on it alone. Its weights, gradient and both
moments are four flat vectors in global memory, a few KB to 200 KB that stay in the cache; activations and the gradients
of one pass over the coordinates are in registers and shared memory.
"""

import triton
import triton.language as tl

from inrzoo.fit.triton.arithmetic import step_adam
from inrzoo.fit.triton.filters import filters_gradient
from inrzoo.fit.triton.perceptron import perceptron_gradient


# Neither sizes of the call nor where a slice of the targets begins may change what is compiled, and with it the bits.
@triton.jit(do_not_specialize=["num_coords", "num_snapshots"], do_not_specialize_on_alignment=["targets"])
def fit(
    weights,
    gradients,
    means,
    squares,
    rows,
    targets,
    scales,
    epsilons,
    rates,
    corrections,
    snapshots,
    kept_weights,
    losses,
    steps,
    num_coords,
    num_snapshots,
    share,
    num_values,
    stop_loss,
    KIND: tl.constexpr,
    NUM_INPUTS: tl.constexpr,
    INPUTS: tl.constexpr,
    HIDDEN: tl.constexpr,
    DEPTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    OUT: tl.constexpr,
    OFFSET: tl.constexpr,
    SIZE: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
    PRODUCTS: tl.constexpr,
    EXACT: tl.constexpr,
):
    """Fit the program's own INR; stopping and snapshots are those of native/engine.cpp.

    At a loss at or below `stop_loss`, or one that is not finite, the weights, the loss and the step serve for all
    snapshots that are still to come.

    Args:
        weights, gradients, means, squares: (INRs, SIZE), starts in the first, zeros in the others; overwritten.
        rows: inputs of the first layer and what else `perceptron` and `filters` want, padded to whole tiles.
        targets: (INRs, coordinates, channels).
        scales, epsilons: (SIZE), see `step_adam`; `rates`, `corrections`: one number for each step.
        snapshots: steps to keep, ascending, and one number more, which is not read as a step.
        kept_weights, losses, steps: (INRs, snapshots, SIZE), (INRs, snapshots) and the same: the results.
        num_values: coordinates · channels; `share` is 2 over that. `stop_loss` is below 0 for never.
        KIND: sine, relu, fourier or gabor. DEPTH: hidden layers or filters.
    """
    inr = tl.program_id(0).to(tl.int64)
    weights += inr * SIZE
    gradients += inr * SIZE
    means += inr * SIZE
    squares += inr * SIZE
    targets += inr * num_coords * CHANNELS
    step = 0
    kept = 0
    while kept < num_snapshots:
        if KIND == "sine" or KIND == "relu":
            total = perceptron_gradient(
                weights, gradients, rows, targets, num_coords, share, NUM_INPUTS, INPUTS, HIDDEN,
                DEPTH, CHANNELS, OUT, OFFSET, KIND == "sine", TILE, PRODUCTS, EXACT,
            )  # fmt: skip
        else:
            total = filters_gradient(
                weights, gradients, rows, targets, num_coords, share, NUM_INPUTS, INPUTS, HIDDEN,
                DEPTH, CHANNELS, OUT, KIND == "gabor", TILE, PRODUCTS, EXACT,
            )  # fmt: skip
        loss = tl.div_rn(total, num_values)
        stop = (loss <= stop_loss) | ((loss < float("inf")) == 0)
        while (kept < num_snapshots) & (stop | (tl.load(snapshots + kept) == step)):
            place = inr * num_snapshots + kept
            for first in range(0, SIZE, BLOCK):
                at = first + tl.arange(0, BLOCK)
                tl.store(kept_weights + place * SIZE + at, tl.load(weights + at, at < SIZE), at < SIZE)
            tl.store(losses + place, loss)
            tl.store(steps + place, step)
            kept += 1
        # Other warps wrote the gradients that this one reads below, and may still be reading the weights.
        tl.debug_barrier()
        rate, correction = tl.load(rates + step), tl.load(corrections + step)
        step_adam(weights, gradients, means, squares, scales, epsilons, rate, correction, SIZE, BLOCK)
        step += 1
        # The next pass reads weights that other warps wrote, and overwrites gradients that they read.
        tl.debug_barrier()
