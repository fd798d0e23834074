"""Which engine fits which INR.

`reference` (batched autograd) serves every INR on every device; the others those that they have a kernel for, far
faster. A new INR needs no native code to work. The order of `ENGINES` is the order in which `auto` asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from inrzoo.errors import InrzooError
from inrzoo.fit import cuda_graph, fused_cpu, fused_gpu, loop
from inrzoo.fit.problem import FitProblem
from inrzoo.fit.result import Fit
from inrzoo.inrs import INR
from inrzoo.nearest import among
from inrzoo.volume_rendering import Observer

if TYPE_CHECKING:
    from torch import Tensor


class Engine(Protocol):
    """One way to fit INRs: a module of this room.

    Attributes:
        DEVICE: the only kind of device it runs on; None for every kind.
        THREADED: whether it fits several INRs at the same time, without a change of bits.
        REGULARISES: whether it takes `antialias`.
        SUBSETS: whether it takes `num_coords`.
        INRS_AT_ONCE: INRs that one call needs to fill the device; above 1 only where an INR's bits do not depend on the
            batch.
        PRODUCTS: precisions of its matrix products, the default first; `ieee` is float32.
    """

    DEVICE: Literal["cpu", "cuda"] | None
    THREADED: bool
    REGULARISES: bool
    SUBSETS: bool
    INRS_AT_ONCE: int
    PRODUCTS: tuple[str, ...]

    def fit(self, problem: FitProblem, threads: int = 1) -> Fit:
        """Fit all INRs of a problem, `threads` of them at the same time where the engine is `THREADED`.

        Raises:
            InrzooError: the engine cannot serve this problem here.
        """

    def unavailable(self, inr: INR, device: str) -> str | None:
        """Why it cannot fit an INR on a device, in one line; None if it can."""

    def unobserved(self, inr: INR, observe: Observer) -> str | None:
        """Why it cannot fit an INR to predictions by `observe`, in one line; None if it can."""

    def prepare(self, inr: INR) -> None:
        """Make it ready for an INR (compile).

        Raises:
            InrzooError: that fails.
        """

    def evaluate(self, inr: INR, weights_BP: Tensor, coords: Tensor) -> Tensor:
        """Values of INRs at (K, D) or (B, K, D) coordinates, (B, K, C)."""

    def environment(self, device: str) -> dict[str, str]:
        """Return everything besides the manifest that decides the bits of an INR on a device."""


ENGINES: dict[str, Engine] = {
    "triton": fused_gpu,
    "cuda_graph": cuda_graph,
    "fused": fused_cpu,
    "reference": loop,
}

RETIRED = ("numba",)
"""Engines of earlier versions. Stores name them, and are read like others."""


def engine(name: str) -> Engine:
    """The engine of that name.

    Raises:
        InrzooError: there is none, or there is none any more.
    """
    if name in RETIRED:
        raise InrzooError(
            f"the {name} engine is gone: what it fitted is read and verified, but not fitted again nor continued; "
            f"there are: {', '.join(ENGINES)}"
        )
    if name not in ENGINES:
        raise InrzooError(f"no engine {name!r}{among(name, ENGINES)}")
    return ENGINES[name]


def unavailable(
    name: str, inr: INR, device: str, regularised: bool = False, subsets: bool = False, observe: Observer | None = None
) -> str | None:
    """Why an engine cannot fit an INR on a device, in one line; None if it can.

    Args:
        device: `cpu`, or a CUDA device.
        regularised: whether an anti-aliasing regulariser takes part.
        subsets: whether each step takes a part of the coordinates.
        observe: how values are predicted from an INR; None for its values at coordinates.
    """
    asked = engine(name)
    if asked.DEVICE not in (None, _kind(device)):
        return f"the {name} engine runs on {'cores, not on a GPU' if asked.DEVICE == 'cpu' else 'a GPU, not on cores'}"
    if regularised and not asked.REGULARISES:
        return f"the {name} engine has no anti-aliasing regulariser"
    if subsets and not asked.SUBSETS:
        return f"the {name} engine takes all coordinates in each step"
    if observe is not None and (reason := asked.unobserved(inr, observe)) is not None:
        return reason
    return asked.unavailable(inr, device)


def serving(inr: INR, device: str) -> list[str]:
    """Names of the engines that can fit an INR on a device, the fastest first."""
    return [name for name in ENGINES if unavailable(name, inr, device) is None]


def choose(
    wanted: str,
    inr: INR,
    device: str,
    regularised: bool = False,
    subsets: bool = False,
    observe: Observer | None = None,
    ready: bool = False,
) -> tuple[str, str | None]:
    """The engine to use and, where `auto` could not have the fastest of that device, why.

    Args:
        wanted: a name of `ENGINES`, or `auto`.
        regularised, subsets, observe: as in `unavailable`.
        ready: also make the engine ready to fit this INR; `auto` goes on to the next one if that fails.

    Raises:
        InrzooError: the named engine cannot serve this INR here.
    """
    if wanted != "auto":
        reason = _refusal(wanted, inr, device, ready, regularised, subsets, observe)
        if reason is not None:
            raise InrzooError(f"--engine {wanted}: {reason}; --engine reference serves every INR")
        return wanted, None
    here = [name for name, one in ENGINES.items() if one.DEVICE in (None, _kind(device))]
    reasons = {}
    for name in here:
        reasons[name] = _refusal(name, inr, device, ready, regularised, subsets, observe)
        if reasons[name] is None:
            break
    return name, reasons[here[0]]


def choose_products(wanted: str, name: str) -> str:
    """The precision of an engine's matrix products: `auto` is its default.

    Raises:
        InrzooError: the engine does not have it.
    """
    there = engine(name).PRODUCTS
    if wanted not in ("auto", *there):
        raise InrzooError(f"--products {wanted} is not allowed; the {name} engine has: {', '.join(there)}")
    return there[0] if wanted == "auto" else wanted


def _refusal(name: str, inr: INR, device: str, ready: bool, *uses: Any) -> str | None:
    reason = unavailable(name, inr, device, *uses)
    if reason is None and ready:
        try:
            engine(name).prepare(inr)
        except InrzooError as error:
            return str(error)
    return reason


def _kind(device: str) -> str:
    return "cpu" if device == "cpu" else "cuda"
