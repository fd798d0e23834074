"""The methods that `fitting.py` compares with inrzoo's engines: what a user would write instead."""

import fitting_compiled
import fitting_jax
from fitting_plain import one_by_one, vmapped

from inrzoo.bench.methods import FEW, Method

MANY = 64
"""INRs of a batch in one process with all threads: what measured fastest for torch."""


def peers() -> list[Method]:
    """Return all of them, the baselines `naive` and `naive-per-core` first."""
    naive = "nn.Module and torch.optim.Adam, one INR after the other"
    methods = [
        Method("naive", f"{naive}; torch's own threads", one_by_one, "process", 1, baseline=True),
        Method("naive-1-thread", f"{naive}; one thread", one_by_one, "thread", 1, one_core=True),
        Method("naive-per-core", f"{naive}; a process on each core", one_by_one, "per core", 1, baseline=True),
        Method("vmap", "torch.func.vmap of the gradient, one fused Adam", vmapped, "process", MANY, always=False),
    ]
    for name, what, prepare, unavailable in (
        ("compile", "torch.compile of a batched step", fitting_compiled.compiled, fitting_compiled.unavailable),
        ("jax", "JAX: jit of vmap of a loop over steps", fitting_jax.jitted, fitting_jax.unavailable),
    ):
        for suffix, spread, where, inrs in (
            ("", "", "process", MANY),
            ("-per-core", "; a process on each core", "per core", FEW),
        ):
            methods.append(
                Method(name + suffix, what + spread, prepare, where, inrs, unavailable=unavailable, always=False)
            )
    return methods
