"""Test-time optimisation: gradient steps on the weights that a hypernetwork made for a signal.

Shape letters: B batch of signals, P parameters of one INR, I numbers of the instance part.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.hypernets.contract import Hypernet
from inrzoo.hypernets.coordinate_subsets import fixed_subsets, take

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
    """Weights of signals after `steps` of Adam, which starts from the hypernetwork's weights.

    The hypernetwork is not changed. TransINR Sec. 4.2 (100 steps, 1e-4) optimises all weights; GINR-IPC Table 5 also
    optimises the instance part alone. Losses are summed over signals and Adam works entry by entry, so that no signal
    affects another's result.

    Args:
        hypernet: used in evaluation mode and returned to its mode.
        coords, values: as in `Hypernet.forward`.
        steps: of Adam (β 0.9 and 0.999, ε 1e-8).
        lr: learning rate, above 0.
        part: `all` P numbers, or the I numbers of the `instance` part, which leaves the shared weights as they are.
        num_coords: number of coordinates of each step, the same in every run; None for all.

    Returns:
        (B, P), detached.

    Raises:
        InrzooError: a number or a name is not allowed.
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
            step_coords, step_values = coords, values
            if num_coords is not None:
                subsets = fixed_subsets(len(values), values.shape[1], num_coords, step, values)
                step_coords, step_values = take(coords, values, subsets)
            with torch.enable_grad():
                weights_BP = free if part == "all" else hypernet.weights(free)
                loss = hypernet.reconstruction_loss(weights_BP, step_coords, step_values).sum()
                (free.grad,) = torch.autograd.grad(loss, free)
            adam.step()
        with torch.no_grad():
            return free.detach() if part == "all" else hypernet.weights(free)
    finally:
        hypernet.train(was_training)
