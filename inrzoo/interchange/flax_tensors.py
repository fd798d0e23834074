"""fit-a-nef's neural fields: the names and the order of their tensors, and the INRs that they are.

From samuelepapa/fit-a-nef, fit_a_nef/nef/siren.py, mlp.py, mfn.py; see docs/derivations/published_sets.md#fit-a-nef.

Shape letters: P parameters of one INR.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.inrs import INR

ParamConfig = list[tuple[str, tuple[int, ...]]]
"""Names and shapes of tensors in the order of a flat vector."""
NAMES = {"SIREN": "siren", "MLP": "relu_mlp", "FourierNet": "fourier_net"}
"""fit-a-nef's models that inrzoo has, and what it calls them."""
FIRST_TENSORS = {"kernel_net_": "SIREN", "Dense_": "MLP", "filters_": "FourierNet", "encoding.": "RFFNet"}
"""How the names of the tensors of each model begin."""


def model_of(config: ParamConfig) -> str:
    """Return fit-a-nef's name of the model with these tensors.

    Raises:
        InrzooError: it has no such model, or inrzoo has no INR like it.
    """
    names = [name for name, _ in config]
    model = next((model for start, model in FIRST_TENSORS.items() if any(map(_begins(start), names))), None)
    if model is None:
        raise InrzooError(f"its tensors are of no model of fit-a-nef: {', '.join(sorted(names)[:4])[:120]}")
    if any(name.endswith(".gamma") for name in names):
        model = "GaborNet"
    if model not in NAMES:
        raise InrzooError(
            f"its fields are {model}, whose features of the coordinates are weights as well, which no INR of inrzoo "
            f"has; {', '.join(NAMES)} can be imported"
        )
    return model


def _begins(start: str) -> Any:
    return lambda name: name.startswith(start)


def tensor_names(model: str, count: int) -> list[tuple[str, str]]:
    """Return (fit-a-nef's name, ours) of each tensor, in fit-a-nef's order: bias before kernel, layer by layer.

    Args:
        model: `SIREN`, `MLP` or `FourierNet`.
        count: number of linear layers; of a FourierNet, of filters.

    Example:
        >>> tensor_names("SIREN", 2)[:2]
        [('kernel_net_0.linear.bias', 'bias_0'), ('kernel_net_0.linear.kernel', 'weight_0')]
    """
    stems: list[tuple[str, str, str]] = []
    if model == "FourierNet":
        stems += [(f"filters_{i}.linear", f"phi_{i}", f"omega_{i}") for i in range(count)]
        stems += [(f"linears_{i}", f"bias_{i}", f"weight_{i}") for i in range(count - 1)]
    else:
        hidden = "kernel_net_{}.linear" if model == "SIREN" else "Dense_{}"
        stems += [(hidden.format(i), f"bias_{i}", f"weight_{i}") for i in range(count - 1)]
    last = count - 1
    stems.append((f"Dense_{last}" if model == "MLP" else "output_linear", f"bias_{last}", f"weight_{last}"))
    return [pair for stem, bias, kernel in stems for pair in ((f"{stem}.bias", bias), (f"{stem}.kernel", kernel))]


def spec_of(model: str, config: ParamConfig, omega_0: float | None) -> dict[str, Any]:
    """Return the INR table of a model with these tensors.

    Args:
        omega_0: ω₀ of a SIREN.

    Raises:
        InrzooError: tensors are missing or too many, or have no shapes of such a network.
    """
    shapes = dict(config)
    count = (len(shapes) + (2 if model == "FourierNet" else 0)) // (4 if model == "FourierNet" else 2)
    pairs = tensor_names(model, count)
    if len(shapes) != len(config) or {name for name, _ in pairs} != shapes.keys() or count < 2:
        absent = sorted({name for name, _ in pairs} ^ shapes.keys())
        raise InrzooError(f"its tensors are not those of a {model} of {count} layers: {', '.join(absent[:3])[:120]}")
    kernels = [shapes[name] for name, _ in pairs if name.endswith(".kernel")]
    if not all(len(kernel) == 2 for kernel in kernels):
        raise InrzooError(f"its kernels are no matrices: {kernels[0]}")
    spec: dict[str, Any] = {
        "name": NAMES[model],
        "in_features": kernels[0][0],
        "out_features": kernels[-1][1],
        "hidden_features": kernels[0][1],
    }
    if model == "FourierNet":
        return {**spec, "num_filters": count}
    spec["hidden_layers"] = count - 2
    if model == "MLP":
        return {**spec, "encoding": "none"}
    return {**spec, "omega_0": omega_0, "convention": "fit_a_nef", "bias_inside": True, "output_offset": 0.0}


def config_of(inr: INR, model: str) -> ParamConfig:
    """Return names and shapes of the tensors of an INR as fit-a-nef writes them."""
    shapes = {tensor.name: tensor.shape for tensor in inr.layout.tensors}
    count = len(shapes) // (4 if model == "FourierNet" else 2)
    return [(theirs, shapes[ours][::-1]) for theirs, ours in tensor_names(model, count)]


def positions(inr: INR, model: str, config: ParamConfig) -> NDArray[np.int64]:
    """Return where each number of our weight vector is in fit-a-nef's, (P,): ours = theirs[positions].

    Raises:
        InrzooError: a shape is not that of the INR; the message names the first.
    """
    expected = dict(config_of(inr, model))
    ours = dict(tensor_names(model, len(expected) // (4 if model == "FourierNet" else 2)))
    parts, start = {}, 0
    for name, shape in config:
        if shape != expected[name]:
            raise InrzooError(f"{name} has shape {[*shape]}, a {model} of equally wide layers has {[*expected[name]]}")
        size = int(np.prod(shape))
        parts[ours[name]] = np.arange(start, start + size).reshape(shape).T
        start += size
    joined: NDArray[np.int64] = inr.layout.join(parts)
    return joined


def parsed_config(pairs: Any) -> ParamConfig:
    """Check what `param_config` holds: a list of pairs of a name and a shape.

    Raises:
        InrzooError: it holds something else.
    """
    config: ParamConfig = []
    for pair in pairs if isinstance(pairs, list) else [None]:
        name, shape = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
        sizes = shape if isinstance(shape, list) and len(shape) <= 4 else [0]
        if not isinstance(name, str) or not all(isinstance(size, int) and 0 < size < 2**31 for size in sizes):
            raise InrzooError(f"param_config holds {str(pair)[:80]}; expected pairs of a name and a shape")
        config.append((name, tuple(sizes)))
    return config


def num_params(config: Sequence[tuple[str, tuple[int, ...]]]) -> int:
    """Return P."""
    total = 0
    for _, shape in config:
        size = 1
        for length in shape:
            size *= length
        total += size
    return total
