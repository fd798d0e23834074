"""The diffusion of Ho et al. 2020 over vectors, by diffusers' schedulers.
Formulas: docs/derivations/generation.md#diffusion.

Shape letters: B vectors, F numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from inrzoo.extras import needed

TIMES = 1000
"""Steps of the diffusion in training."""
SETTINGS = {
    "num_train_timesteps": TIMES,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "clip_sample": False,
}
"""Of diffusers' schedulers. Squared cosine: Nichol & Dhariwal 2021 (arXiv 2102.09672), eq. 17. The network predicts
v = √ᾱ ε − √(1 − ᾱ) x: Salimans & Ho 2022 (arXiv 2202.00512), Sec. 4 and App. D."""

Predict = Callable[[Tensor, Tensor], Tensor]
"""Noisy vectors (B, F) and times (B,) to predicted v, (B, F)."""


def require_schedulers() -> str:
    """Return the version of diffusers, or raise MissingPackageError if it is not installed."""
    with needed("generate", "the task generate"):
        import diffusers

    return str(diffusers.__version__)


def denoising_pairs(clean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy vectors of random times, the times (B,) and the v that should be predicted; by torch's global generator.

    Args:
        clean: (B, F), of unit variance.
    """
    scheduler = _training_scheduler()
    noise, time = torch.randn_like(clean), torch.randint(TIMES, (len(clean),), device=clean.device)
    return scheduler.add_noise(clean, noise, time), time, scheduler.get_velocity(clean, noise, time)


def sample(predict: Predict, noise: Tensor, steps: int) -> Tensor:
    """Vectors (B, F) of unit variance from noise (B, F), by the deterministic steps of DDIM.

    Song et al. 2021, "Denoising diffusion implicit models" (arXiv 2010.02502), eq. 12 with σ = 0. The first step is at
    the last time of training (`trailing` in diffusers; Lin et al. 2024, arXiv 2305.08891, Sec. 3.3).

    Args:
        predict: the network.
        noise: standard normal; the samples are a function of it.
        steps: evaluations of the network, 1 to `TIMES`.
    """
    scheduler = _scheduler("DDIMScheduler", timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    vectors = noise
    for time in scheduler.timesteps:
        predicted = predict(vectors, time.to(noise.device).expand(len(noise)))
        vectors = scheduler.step(predicted, time, vectors).prev_sample
    return vectors


@cache
def _training_scheduler() -> Any:
    return _scheduler("DDPMScheduler")  # it has no state


def _scheduler(name: str, **settings: Any) -> Any:
    with needed("generate", "the task generate"):
        import diffusers

        scheduler = getattr(diffusers, name)
    return scheduler(**SETTINGS, **settings)
