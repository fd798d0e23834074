"""Gradient steps on what a hypernetwork made of a signal.

Shape letters: B batch of signals, P parameters of one INR, I numbers of the instance part.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.hypernets._contract import Hypernet
from inrzoo.hypernets._subsets import fixed_subsets, take

Part = Literal["all", "instance"]


def optimise_at_test_time(
    hypernet: Hypernet,
    coords: Tensor,
    values: Tensor,
    *,
    steps: int = 100,
    lr: float = 1e-4,
    part: Part = "all",
    num_coords: int | None = None,
) -> Tensor:
    """Weights of signals after `steps` of Adam from those of the hypernetwork, which is not changed.

    TransINR Sec. 4.2 (100 steps, 1e-4) optimises all weights; GINR-IPC Table 5 also the instance part alone. Losses are
    summed over signals and Adam works entry by entry: no signal has a part in another's result.

    Args:
        hypernet: used in evaluation mode and left in the mode it was in.
        coords, values: as in `Hypernet.forward`.
        steps: of Adam (β 0.9 and 0.999, ε 1e-8).
        lr: step size, above 0.
        part: all P numbers, or the I of the instance part, so that the shared rest stays shared.
        num_coords: how many coordinates each step sees; the same ones in every run. None for all.

    Returns:
        (B, P), detached.

    Raises:
        InrzooError: a number or a name that is not allowed.
    """
    if steps < 0 or not lr > 0 or part not in get_args(Part):
        raise InrzooError(
            f"steps = {steps}, lr = {lr}, part = {part!r} are not allowed; steps must be at least 0, lr above 0, "
            f"part one of {', '.join(get_args(Part))}"
        )
    was_training = hypernet.training
    hypernet.eval()
    try:
        hypernet.require_signals(coords, values)
        with torch.no_grad():
            free = hypernet.instances(coords, values)
            free = hypernet.weights(free) if part == "all" else free
        free = free.detach().clone().requires_grad_()
        adam = torch.optim.Adam([free], lr=lr)
        for step in range(steps):
            where, what = coords, values
            if num_coords is not None:
                subsets = fixed_subsets(len(values), values.shape[1], num_coords, step, values)
                where, what = take(coords, values, subsets)
            with torch.enable_grad():
                weights_BP = free if part == "all" else hypernet.weights(free)
                loss = hypernet.reconstruction_loss(weights_BP, where, what).sum()
                (free.grad,) = torch.autograd.grad(loss, free)
            adam.step()
        with torch.no_grad():
            return free.detach() if part == "all" else hypernet.weights(free)
    finally:
        hypernet.train(was_training)
