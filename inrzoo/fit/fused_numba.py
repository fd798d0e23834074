"""The fused engine where no C++ compiler is to be had, and on processors that are not x86-64: the whole fit of an INR,
all steps, inside one call of what numba compiles, one INR per thread.

The kernels under `numba_kernels/` are compiled once for each family, for any size, and cached. They prescribe every
operation and its order, see `numba_kernels/vector.py`; an INR has the same bits whatever processor, batch, thread or
neighbour it was fitted with. numba is imported when the engine is first asked for.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, F inputs of the first layer, C out_features,
T snapshots.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inrzoo.errors import InrzooError
from inrzoo.fit.compiled import cache_folder
from inrzoo.fit.interrupt import raise_if_called_off
from inrzoo.fit.metrics import mse_at
from inrzoo.fit.numba_kernels.places import LANES, plan
from inrzoo.fit.result import Fit, check_shapes, conclude
from inrzoo.inrs import INR, Perceptron
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

SOURCES = Path(__file__).parent / "numba_kernels"


def unavailable(inr: INR) -> str | None:
    """Why this engine cannot fit `inr` on this machine, in one line; None if it can."""
    if inr.kernel() is None:
        return f"the numba engine has no kernel for {type(inr).__name__}"
    return _no_numba()


@functools.cache
def _no_numba() -> str | None:
    try:
        import numba
    except ImportError as error:  # not there, or not for this numpy
        return f"the numba engine needs numba, which cannot be imported: {error}"
    if numba.config.DISABLE_JIT:
        return "the numba engine compiles, which NUMBA_DISABLE_JIT forbids"
    return None


def environment(device: str = "cpu") -> dict[str, str]:
    """What decides the bits of an INR that this engine fits. Neither torch nor the processor does."""
    return {"numba": version("numba"), "llvmlite": version("llvmlite"), "device": "cpu", "instruction_set": "any"}


def fit(
    inr: INR,
    weights_BP: Tensor,
    coords_KD: Tensor,
    targets_BKC: Tensor,
    *,
    lr: float,
    snapshots: Sequence[int],
    stop_psnr: float | None = None,
    value_range: tuple[float, float] = (-1.0, 1.0),
    threads: int = 1,
) -> Fit:
    """Fit B INRs; arguments and result as `loop.fit`, in float32 to rounding, but each INR by itself, so that its bits
    do not depend on the others.

    Args:
        threads: INRs fitted at the same time.

    Raises:
        InrzooError: the engine cannot serve this INR here; `unavailable` says why.
        ValueError: as `loop.fit`.
    """
    reason = unavailable(inr)
    if reason is not None:
        raise InrzooError(f"{reason}; --engine reference serves every INR")
    check_shapes(inr, weights_BP, coords_KD, targets_BKC, snapshots)
    kernel = inr.kernel()
    assert kernel is not None
    compiled, laid_out = _compiled(), plan(kernel)
    inputs_KF = (kernel.inputs(coords_KD) if isinstance(kernel, Perceptron) else coords_KD).float().numpy()
    inputs = np.pad(inputs_KF, ((0, -len(inputs_KF) % LANES), (0, 0)), mode="edge").ravel()
    starts, targets = (tensor.float().contiguous().numpy() for tensor in (weights_BP, targets_BKC))
    stop_loss = -1.0 if stop_psnr is None else mse_at(stop_psnr, value_range)
    shape = (len(starts), len(snapshots))
    weights_BTP = np.empty((*shape, starts.shape[1]), dtype=np.float32)
    loss_BT, steps_BT = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.int32)
    steps_kept = np.array(snapshots, dtype=np.int32)

    def fit_one(index: int) -> None:
        raise_if_called_off()
        problem = compiled.Problem(inputs, targets[index], starts[index], steps_kept, float(lr), np.float32(stop_loss))
        compiled.fit(laid_out, problem, compiled.Kept(weights_BTP[index], loss_BT[index], steps_BT[index]))

    _for_each(fit_one, len(starts), threads)
    fitted, loss, steps = (torch.from_numpy(array) for array in (weights_BTP, loss_BT, steps_BT))
    return conclude(fitted, loss, steps, targets_BKC, stop_loss, value_range)


def _for_each(call: Callable[[int], None], count: int, threads: int) -> None:
    """One call an INR, `threads` of them at a time. Between calls Python looks after Ctrl-C, which drops the rest."""
    if threads == 1 or count <= 1:
        for index in range(count):
            call(index)
        return
    with ThreadPoolExecutor(min(threads, count)) as pool:
        list(pool.map(call, range(count)))


@functools.cache
def _compiled() -> Any:
    """The module with the compiled fit. numba compiles on the first call for a family, or reads what an earlier process
    compiled.
    """
    from numba.core import config

    # numba notices a change in the file of a cached function, not in those that it calls; and it asks for the folder
    # when the function is made, so that nothing of the user's own numba goes there.
    sources = {path.name: path.read_text() for path in sorted(SOURCES.glob("*.py"))}
    key = hashlib.sha256(repr(sources).encode()).hexdigest()[:32]
    users_own = config.CACHE_DIR
    folder = cache_folder() / f"numba-{key}"
    config.CACHE_DIR = str(folder)
    try:
        return importlib.import_module("inrzoo.fit.numba_kernels.descent")
    finally:
        config.CACHE_DIR = users_own


def bytes_per_thread(inr: INR) -> int:
    """Memory that one thread of this engine works in, whatever the number of INRs."""
    kernel = inr.kernel()
    if kernel is None:
        raise InrzooError(str(unavailable(inr)))
    return 4 * plan(kernel).floats
