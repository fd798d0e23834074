"""The persistent kernel: one program fits one INR from the first step to the last.

Nothing is shared between programs, so that the bits of an INR depend on it alone. Its weights, gradient and both
moments are four flat vectors in global memory, a few KB to 200 KB that stay in the cache; activations and the gradients
of one pass over the coordinates are in registers and shared memory.
"""

import triton
import triton.language as tl

from inrzoo.fit.triton.arithmetic import clip_factor, step_adam
from inrzoo.fit.triton.filters import filters_gradient
from inrzoo.fit.triton.perceptron import perceptron_gradient


@triton.jit
def take_points(
    weights, gradients, rows, targets, point_weights, key, step, num_coords, count, share,
    KIND: tl.constexpr, NUM_INPUTS: tl.constexpr, INPUTS: tl.constexpr, HIDDEN: tl.constexpr, DEPTH: tl.constexpr,
    CHANNELS: tl.constexpr, OUT: tl.constexpr, OFFSET: tl.constexpr, TILE: tl.constexpr, PRODUCTS: tl.constexpr,
    EXACT: tl.constexpr, BCE: tl.constexpr, BACKWARD: tl.constexpr,
):  # fmt: skip
    """One pass of the INR's kind over points: see `perceptron_gradient`."""
    if KIND == "sine" or KIND == "relu":
        total = perceptron_gradient(
            weights, gradients, rows, targets, point_weights, key, step, num_coords, count, share, NUM_INPUTS, INPUTS,
            HIDDEN, DEPTH, CHANNELS, OUT, OFFSET, KIND == "sine", TILE, PRODUCTS, EXACT, BCE, BACKWARD,
        )  # fmt: skip
    else:
        total = filters_gradient(
            weights, gradients, rows, targets, point_weights, key, step, num_coords, count, share, NUM_INPUTS, INPUTS,
            HIDDEN, DEPTH, CHANNELS, OUT, KIND == "gabor", TILE, PRODUCTS, EXACT, BCE, BACKWARD,
        )  # fmt: skip
    return total


@triton.jit
def keep(
    loss, step, kept, weights, snapshots, kept_weights, losses, steps, first_losses, inr, num_snapshots, stop_loss,
    SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Keep the weights, the loss and the step for the snapshot of this step, or for all that are still to come.

    The latter at a loss at or below `stop_loss`, or one that is not finite. Returns the snapshots kept so far.
    """
    tl.store(first_losses + inr, loss, step == 0)
    stop = (loss <= stop_loss) | ((loss < float("inf")) == 0)
    while (kept < num_snapshots) & (stop | (tl.load(snapshots + kept) == step)):
        place = inr * num_snapshots + kept
        for first in range(0, SIZE, BLOCK):
            at = first + tl.arange(0, BLOCK)
            tl.store(kept_weights + place * SIZE + at, tl.load(weights + at, at < SIZE), at < SIZE)
        tl.store(losses + place, loss)
        tl.store(steps + place, step)
        kept += 1
    return kept


# Neither sizes of the call nor where a slice of an array begins may change what is compiled, and with it the bits.
@triton.jit(
    do_not_specialize=["num_coords", "num_drawn", "num_snapshots", "evaluate_every"],
    do_not_specialize_on_alignment=["targets", "point_weights", "keys"],
)
def fit(
    weights,
    gradients,
    means,
    squares,
    rows,
    targets,
    point_weights,
    keys,
    scales,
    epsilons,
    own_scales,
    factors,
    rates,
    corrections,
    decays,
    snapshots,
    kept_weights,
    losses,
    steps,
    first_losses,
    num_coords,
    num_drawn,
    num_snapshots,
    evaluate_every,
    share,
    num_values,
    stop_loss,
    max_norm,
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
    BCE: tl.constexpr,
    OWN_ROWS: tl.constexpr,
):
    """Fit the program's own INR; stopping and snapshots are those of native/engine.cpp.

    Arguments that may be None are compiled away where they are.

    Args:
        weights, gradients, means, squares: (INRs, SIZE), starts in the first, zeros in the others; overwritten.
        rows: inputs of the first layer and what else `perceptron` and `filters` want, padded to whole tiles; one table
            for all INRs, or with `OWN_ROWS` one for each.
        targets: (INRs, coordinates, channels).
        point_weights: (INRs, coordinates), mean 1, or None.
        keys: (INRs), of their draws; None for steps with all coordinates.
        scales, epsilons: (SIZE), see `step_adam`; `rates`, `corrections`: one number for each step.
        own_scales: (SIZE), kernel's parameter over the INR's, 0 for padding, see `clip_factor`; None without clipping.
        factors: (SIZE), and `decays`, one number for each step, see `step_adam`; None without decay.
        snapshots: steps to keep, ascending, and one number more, which is not read as a step.
        kept_weights, losses, steps: (INRs, snapshots, SIZE), (INRs, snapshots) and the same: the results.
        first_losses: (INRs), the losses at the start: a result.
        num_drawn: coordinates drawn for a step, and `evaluate_every`, the steps between two looks at all of them; None
            without `keys`.
        share: see `perceptron_gradient`.
        num_values: coordinates · channels. `stop_loss` is below 0 for never, `max_norm` None.
        KIND: sine, relu, fourier or gabor. DEPTH: hidden layers or filters.
    """
    inr = tl.program_id(0).to(tl.int64)
    weights += inr * SIZE
    gradients += inr * SIZE
    means += inr * SIZE
    squares += inr * SIZE
    targets += inr * num_coords * CHANNELS
    if OWN_ROWS:
        rows += inr * tl.cdiv(num_coords, TILE) * TILE * INPUTS
    if point_weights is not None:
        point_weights += inr * num_coords
    step = 0
    kept = 0
    while kept < num_snapshots:
        if keys is None:
            total = take_points(
                weights, gradients, rows, targets, point_weights, None, None, num_coords, num_coords, share, KIND,
                NUM_INPUTS, INPUTS, HIDDEN, DEPTH, CHANNELS, OUT, OFFSET, TILE, PRODUCTS, EXACT, BCE, True,
            )  # fmt: skip
            kept = keep(
                tl.div_rn(total, num_values), step, kept, weights, snapshots, kept_weights, losses, steps, first_losses,
                inr, num_snapshots, stop_loss, SIZE, BLOCK,
            )  # fmt: skip
        else:
            if (step % evaluate_every == 0) | (tl.load(snapshots + kept) == step):
                total = take_points(
                    weights, gradients, rows, targets, point_weights, None, None, num_coords, num_coords, share, KIND,
                    NUM_INPUTS, INPUTS, HIDDEN, DEPTH, CHANNELS, OUT, OFFSET, TILE, PRODUCTS, EXACT, BCE, False,
                )  # fmt: skip
                kept = keep(
                    tl.div_rn(total, num_values), step, kept, weights, snapshots, kept_weights, losses, steps,
                    first_losses, inr, num_snapshots, stop_loss, SIZE, BLOCK,
                )  # fmt: skip
            take_points(
                weights, gradients, rows, targets, point_weights, tl.load(keys + inr), step, num_coords, num_drawn,
                share, KIND, NUM_INPUTS, INPUTS, HIDDEN, DEPTH, CHANNELS, OUT, OFFSET, TILE, PRODUCTS, EXACT, BCE, True,
            )  # fmt: skip
        # Other warps wrote the gradients that this one reads below, and may still be reading the weights.
        tl.debug_barrier()
        clip = None if own_scales is None else clip_factor(gradients, own_scales, max_norm, SIZE, BLOCK)
        decay = None if decays is None else tl.load(decays + step)
        rate, correction = tl.load(rates + step), tl.load(corrections + step)
        step_adam(
            weights, gradients, means, squares, scales, epsilons, factors, rate, correction, decay, clip, SIZE, BLOCK
        )
        step += 1
        # The next pass reads weights that other warps wrote, and overwrites gradients that they read.
        tl.debug_barrier()
