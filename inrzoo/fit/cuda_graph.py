"""The batched engine on a GPU: the reference's own step, recorded once in a CUDA graph and replayed.

Serves every INR, with or without anti-aliasing. A step of small INRs is dozens of kernels that take less time than
their launches; a graph launches them as one. What is replayed is `Descent.look` and `Descent.advance`, which the
reference runs too, so that only recording and replaying need a GPU.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from inrzoo.errors import InrzooError
from inrzoo.fit import loop
from inrzoo.fit.descent import Descent
from inrzoo.fit.problem import FitProblem
from inrzoo.fit.result import Fit
from inrzoo.inrs import INR
from inrzoo.lazy import lazy
from inrzoo.volume_rendering import Observer

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch", globals())

LOOK_EVERY = 50
"""Steps between questions to the device whether all INRs have stopped: each waits until the device has caught up."""

WARM_UP_STEPS = 3
"""Steps before recording: libraries allocate their work space in the first ones."""


DEVICE: Literal["cpu", "cuda"] | None = "cuda"
THREADED, REGULARISES, SUBSETS = False, True, False
INRS_AT_ONCE = 1
PRODUCTS = loop.PRODUCTS

environment, evaluate, prepare = loop.environment, loop.evaluate, loop.prepare


def unobserved(inr: INR, observe: Observer) -> str | None:
    """Why this engine cannot fit an INR to predictions, in one line."""
    return "the cuda_graph engine compares an INR with values at coordinates alone"


def unavailable(inr: INR, device: str) -> str | None:
    """Why this engine cannot fit on `device`, in one line; None if it can."""
    if torch.device(device).type != "cuda":
        return f"CUDA graphs need a CUDA device, not {device}"
    return None if torch.cuda.is_available() else "CUDA graphs need a CUDA device; torch finds none"


def fit(problem: FitProblem, threads: int = 1) -> Fit:
    """Fit B INRs on the CUDA device that all tensors are on; result and errors as `loop.fit`.

    Args:
        threads: not used.

    Raises:
        InrzooError: no CUDA device, or an INR whose `values` asks the device something, which cannot be recorded.
    """
    reason = unavailable(problem.inr, str(problem.starts_BP.device))
    if reason is not None:
        raise InrzooError(f"{reason}; --engine reference serves every device")
    if problem.num_coords is not None:
        raise InrzooError("the cuda_graph engine takes all coordinates in each step; --engine reference takes fewer")
    if problem.observe is not None:
        reason = unobserved(problem.inr, problem.observe)
        raise InrzooError(f"{reason}; --engine reference takes every prediction")
    return loop.in_batches(fit_batch, problem)


def fit_batch(descent: Descent) -> loop.Kept:
    """The snapshots of one batch. On a CPU the step is not recorded but called, with the same result."""
    advance = recorded(descent) if descent.weights_BP.is_cuda else _step(descent)
    snapshots = descent.problem.snapshots
    kept: loop.Kept = []
    for step in range(snapshots[-1] + 1):
        weights_BP = descent.weights_BP.detach().clone() if step in snapshots else None
        advance()
        if weights_BP is not None:
            kept.append((weights_BP, *descent.state()[1:]))
        elif step % LOOK_EVERY == 0 and descent.stopped_B.all():
            break
    # Who has stopped stands still, so that what is left of the snapshots is the same.
    return kept + [descent.state()] * (len(snapshots) - len(kept))


def _step(descent: Descent) -> Callable[[], None]:
    def step() -> None:
        descent.look()
        descent.advance()

    return step


def recorded(descent: Descent) -> Callable[[], None]:
    """One step of `descent` as a graph; the batch is at its starts again."""
    step = _step(descent)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(descent.weights_BP.device):
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_STEPS):
                step()
        torch.cuda.current_stream().wait_stream(aside)
        try:
            with torch.cuda.graph(graph):
                step()
        except RuntimeError as error:
            line = str(error).strip().splitlines()[0]
            raise InrzooError(
                f"{type(descent.inr).__name__} cannot be recorded in a CUDA graph: {line}; "
                "--engine reference serves every INR"
            ) from error
    descent.restart()
    return graph.replay
