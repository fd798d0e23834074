"""Which engine fits which INR.

`reference` (batched autograd) serves every INR on every device; `fused` (one native call an INR) those that can be
compiled. A new INR needs no native code to work.
"""

from collections.abc import Callable

from inrzoo.errors import InrzooError
from inrzoo.fit import fused_cpu, loop
from inrzoo.fit.result import Fit
from inrzoo.inrs import INR


def unavailable(name: str, inr: INR, device: str, regularised: bool) -> str | None:
    """Why an engine cannot fit an INR here, in one line; None if it can.

    Args:
        name: `reference` or `fused`.
        device: `cpu`, or a CUDA device.
        regularised: whether an anti-aliasing regulariser takes part.
    """
    if name == "reference":
        return None
    if device != "cpu":
        return "the fused engine runs on cores, not on a GPU"
    if regularised:
        return "the fused engine has no anti-aliasing regulariser"
    return fused_cpu.unavailable(inr)


def choose(wanted: str, inr: INR, device: str, regularised: bool) -> tuple[str, str | None]:
    """The engine to use and, where `auto` could not have the fastest, why.

    Args:
        wanted: `auto`, `reference` or `fused`.

    Raises:
        InrzooError: the named engine cannot serve this INR here.
    """
    reason = unavailable("fused" if wanted == "auto" else wanted, inr, device, regularised)
    if wanted == "auto":
        return ("reference" if reason else "fused"), reason
    if reason is not None:
        raise InrzooError(f"--engine {wanted}: {reason}; --engine reference serves every INR")
    return wanted, None


def engine(name: str) -> Callable[..., Fit]:
    """The function that fits: `engine("fused")(inr, weights, coords, targets, lr=…, snapshots=…)`."""
    engines: dict[str, Callable[..., Fit]] = {"reference": loop.fit, "fused": fused_cpu.fit}
    return engines[name]
