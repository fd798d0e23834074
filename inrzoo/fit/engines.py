"""Which engine fits which INR.

`reference` (batched autograd) serves every INR on every device; the others those that they have a kernel for, far
faster. A new INR needs no native code to work. The order of `ENGINES` is the order in which `auto` asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from inrzoo.errors import InrzooError
from inrzoo.fit import cuda_graph, fused_cpu, fused_gpu, loop
from inrzoo.fit.result import Fit
from inrzoo.inrs import INR
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One way to fit INRs.

    Attributes:
        fit: arguments and result as `loop.fit`; `threads` too where `threaded`, `products` where there is a choice.
        device: the only kind it runs on; None for every kind.
        unavailable: why it cannot fit an INR here, in one line; None if it can.
        evaluate: values of INRs, (INR, weights (B, P), coords (K, D)) to (B, K, C).
        prepare: makes it ready for an INR (compiles); raises InrzooError where that fails.
        environment: device to what besides the manifest decides the bits.
        threaded: whether bits do not depend on `threads`.
        regularises: whether it takes `antialias`.
        products: precisions of its matrix products, the default first; `ieee` is float32.
    """

    fit: Callable[..., Fit]
    environment: Callable[[str], dict[str, str]]
    device: Literal["cpu", "cuda"] | None = None
    unavailable: Callable[[INR], str | None] = lambda inr: None
    prepare: Callable[[INR], object] = lambda inr: None
    evaluate: Callable[[INR, Tensor, Tensor], Tensor] = lambda inr, weights, coords: inr(weights, coords)
    threaded: bool = False
    regularises: bool = True
    products: tuple[str, ...] = ("ieee",)


def _torch_environment(device: str) -> dict[str, str]:
    if device == "cpu":
        kind, instructions = "cpu", torch.backends.cpu.get_cpu_capability()
    else:
        kind = torch.cuda.get_device_name(device)
        instructions = "sm_{}{}".format(*torch.cuda.get_device_capability(device))
    return {"torch": torch.__version__.split("+")[0], "device": kind, "instruction_set": instructions}


ENGINES: dict[str, Engine] = {
    "triton": Engine(
        fit=fused_gpu.fit,
        device="cuda",
        unavailable=lambda inr: fused_gpu.unavailable(inr, "cuda"),
        environment=fused_gpu.environment,
        regularises=False,
        products=fused_gpu.PRODUCTS,
    ),
    "cuda_graph": Engine(
        fit=cuda_graph.fit,
        device="cuda",
        unavailable=lambda inr: cuda_graph.unavailable("cuda"),
        environment=_torch_environment,
    ),
    "fused": Engine(
        fit=fused_cpu.fit,
        device="cpu",
        unavailable=fused_cpu.unavailable,
        evaluate=fused_cpu.evaluate,
        prepare=fused_cpu.library,
        environment=fused_cpu.environment,
        threaded=True,
    ),
    "reference": Engine(fit=loop.fit, environment=_torch_environment),
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
        raise InrzooError(f"no engine {name!r}; there are: {', '.join(ENGINES)}")
    return ENGINES[name]


def unavailable(name: str, inr: INR, device: str, regularised: bool = False) -> str | None:
    """Why an engine cannot fit an INR on a device, in one line; None if it can.

    Args:
        device: `cpu`, or a CUDA device.
        regularised: whether an anti-aliasing regulariser takes part.
    """
    asked = engine(name)
    if asked.device not in (None, _kind(device)):
        return f"the {name} engine runs on {'cores, not on a GPU' if asked.device == 'cpu' else 'a GPU, not on cores'}"
    if regularised and not asked.regularises:
        return f"the {name} engine has no anti-aliasing regulariser"
    return asked.unavailable(inr)


def serving(inr: INR, device: str) -> list[str]:
    """Names of the engines that can fit an INR on a device, the fastest first."""
    return [name for name in ENGINES if unavailable(name, inr, device) is None]


def choose(wanted: str, inr: INR, device: str, regularised: bool, ready: bool = False) -> tuple[str, str | None]:
    """The engine to use and, where `auto` could not have the fastest of that device, why.

    Args:
        wanted: a name of `ENGINES`, or `auto`.
        regularised: whether an anti-aliasing regulariser takes part.
        ready: also make the engine ready to fit this INR; `auto` goes on to the next one if that fails.

    Raises:
        InrzooError: the named engine cannot serve this INR here.
    """
    if wanted != "auto":
        reason = _refusal(wanted, inr, device, regularised, ready)
        if reason is not None:
            raise InrzooError(f"--engine {wanted}: {reason}; --engine reference serves every INR")
        return wanted, None
    here = [name for name, one in ENGINES.items() if one.device in (None, _kind(device))]
    reasons = {}
    for name in here:
        reasons[name] = _refusal(name, inr, device, regularised, ready)
        if reasons[name] is None:
            break
    return name, reasons[here[0]]


def choose_products(wanted: str, name: str) -> str:
    """The precision of an engine's matrix products: `auto` is its default.

    Raises:
        InrzooError: the engine does not have it.
    """
    there = engine(name).products
    if wanted not in ("auto", *there):
        raise InrzooError(f"--products {wanted} is not allowed; the {name} engine has: {', '.join(there)}")
    return there[0] if wanted == "auto" else wanted


def _refusal(name: str, inr: INR, device: str, regularised: bool, ready: bool) -> str | None:
    reason = unavailable(name, inr, device, regularised)
    if reason is None and ready:
        try:
            engine(name).prepare(inr)
        except InrzooError as error:
            return str(error)
    return reason


def _kind(device: str) -> str:
    return "cpu" if device == "cpu" else "cuda"
