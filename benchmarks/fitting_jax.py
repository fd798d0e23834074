"""How INRs are fitted in JAX: vmap over INRs, and all steps in one jitted loop, as fit-a-nef does it. Optional: needs
`pip install jax`.

The loop is `lax.fori_loop`, the while loop that `lax.scan` becomes as well (the same speed to 3 % here); unlike scan's,
its length may change without compiling again.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, C out_features.
"""

import importlib.util
from typing import Any

import numpy as np
import torch
from fitting_plain import module
from torch import Tensor

from inrzoo.bench.methods import Run
from inrzoo.bench.workloads import Workload
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.siren import Siren

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def unavailable(workload: Workload) -> str | None:
    """Return why JAX cannot run here, in one line; None if it can."""
    return None if importlib.util.find_spec("jax") else "jax is not installed: pip install jax"


def jitted(workload: Workload, starts_BP: Tensor, targets_BKC: Tensor) -> Run:
    """`jit(vmap(loop over steps))` on the CPU, Adam written out."""
    import jax
    import jax.numpy as jnp

    inr = workload.inr
    module(inr)  # says which INRs are served
    coords = jnp.asarray(workload.coords().numpy())

    def values(weights_P: Any) -> Any:
        tensors = inr.layout.split(weights_P)
        if isinstance(inr, FourierNet):
            filters = [jnp.sin(coords @ tensors[f"omega_{i}"].T + tensors[f"phi_{i}"]) for i in range(inr.num_filters)]
            z_KH = filters[0]
            for i in range(inr.num_filters - 1):
                z_KH = (z_KH @ tensors[f"weight_{i}"].T + tensors[f"bias_{i}"]) * filters[i + 1]
            last = inr.num_filters - 1
            return z_KH @ tensors[f"weight_{last}"].T + tensors[f"bias_{last}"]
        assert isinstance(inr, Siren)
        hidden = coords
        for i, omega in enumerate(inr.omegas):
            hidden = jnp.sin(omega * (hidden @ tensors[f"weight_{i}"].T + tensors[f"bias_{i}"]))
        last = len(inr.omegas)
        return hidden @ tensors[f"weight_{last}"].T + tensors[f"bias_{last}"]

    def fit(start_P: Any, target_KC: Any, steps: Any) -> Any:
        gradient = jax.grad(lambda weights_P: jnp.mean((values(weights_P) - target_KC) ** 2))

        def step(number: Any, state: Any) -> Any:
            weights_P, mean_P, square_P = state
            gradient_P = gradient(weights_P)
            mean_P = BETA_1 * mean_P + (1 - BETA_1) * gradient_P
            square_P = BETA_2 * square_P + (1 - BETA_2) * gradient_P**2
            rate = workload.lr / (1 - BETA_1 ** (number + 1.0))
            correction = 1 / jnp.sqrt(1 - BETA_2 ** (number + 1.0))
            return weights_P - rate * mean_P / (jnp.sqrt(square_P) * correction + EPSILON), mean_P, square_P

        zeros = jnp.zeros_like(start_P)
        return jax.lax.fori_loop(0, steps, step, (start_P, zeros, zeros))[0]

    fast = jax.jit(jax.vmap(fit, in_axes=(0, 0, None)))
    starts, targets = jnp.asarray(starts_BP.numpy()), jnp.asarray(targets_BKC.numpy())
    # np.array copies, which also waits for the result: JAX answers before it is there.
    return lambda steps: torch.from_numpy(np.array(fast(starts, targets, steps)))
