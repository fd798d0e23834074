"""The contract of every INR, as functions that take one and fail where a promise is broken.

Shape letters: N INRs, P parameters, K coordinates, D in_features.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from inrzoo import bases, registry
from inrzoo.errors import InrzooError
from inrzoo.formula import Formula
from inrzoo.inrs import INR, permute_randomly
from inrzoo.seeding import Stream

N, K = 4, 64
STARTS = 40
CHANCE = 1e-6
"""How improbable a start must be to be called another distribution; streams are fixed, so a test never flickers."""


def settings() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every INR that the registry finds, and with it each choice that a field of its offers."""
    for name in registry.names("inrs"):
        yield name, {}
        cls = registry.find("inrs", name)
        for key, hint in get_type_hints(cls).items():
            default = getattr(cls, key, None)
            choices = get_args(hint) if get_origin(hint) is Literal else (True, False) if hint is bool else ()
            yield from ((name, {key: choice}) for choice in choices if choice != default)


def make(name: str, **fields: Any) -> INR:
    made: INR = registry.make("inrs", {"name": name, **fields}, in_features=2, out_features=3, nyquist=20.0)
    return with_base(made) if made.base_layout is not None else made


def with_base(inr: INR) -> INR:
    """The same INR with a base that this process knows."""
    base_Q = inr.init_base(Stream("init", "contract", 0))
    pushed = 0.01 * np.random.default_rng(0).normal(size=len(base_Q))  # so that no bias is 0
    return replace(inr, base=bases.remember((base_Q + pushed).astype(np.float32)))


def starts(inr: INR, count: int) -> Tensor:
    return torch.from_numpy(np.stack([inr.init(Stream("init", "contract", 0, str(i))) for i in range(count)]))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def fitted(inr: INR) -> Tensor:
    """Starts pushed a little, as by a fit, so that nothing that starts at 0 is 0. (N, P), float64."""
    start = starts(inr, N).double()
    return start + 0.02 * torch.randn(start.shape, generator=generator(), dtype=start.dtype)


def points(inr: INR) -> Tensor:
    return torch.rand(K, inr.in_features, generator=generator(), dtype=torch.float64) * 2 - 1


def check_start(inr: INR) -> None:
    """Fresh weights are finite float32 numbers, and uniform wherever the INR says so."""
    drawn = starts(inr, STARTS)
    assert drawn.dtype == torch.float32 and drawn.shape == (STARTS, inr.layout.num_params)
    assert drawn.isfinite().all(), "a start is not finite"
    assert inr(drawn.double(), points(inr)).isfinite().all(), "a fresh function is not finite"
    tensors, bounds = inr.layout.split(drawn.double().numpy()), inr.init_bounds()
    assert bounds.keys() <= tensors.keys()
    for name, bound in bounds.items():
        if bound == 0:
            assert not tensors[name].any(), f"{name} starts at 0, the INR says"
            continue
        probability = stats.kstest(tensors[name].ravel(), stats.uniform(-bound, 2 * bound).cdf).pvalue
        assert probability > CHANCE, f"{name} is not uniform on ±{bound}"


def check_symmetries(inr: INR) -> None:
    """Another member of an orbit is another vector and the same function; without neurons there is one member."""
    weights, coords = fitted(inr), points(inr)
    for member in (inr.random_member(weights, generator()), permute_randomly(inr.layout, weights, generator())):
        assert member.shape == weights.shape
        assert (member != weights).any(-1).all() if inr.layout.neuron_axes else (member == weights).all()
        torch.testing.assert_close(inr(member, coords), inr(weights, coords), rtol=1e-8, atol=1e-8)


def check_canonical_form(inr: INR) -> None:
    """One form for all members of an orbit, which is the same function; or an error that names INR and method."""
    weights, coords = fitted(inr), points(inr)
    if type(inr).canonicalise is INR.canonicalise:
        check_refusal(inr, "canonicalise", lambda: inr.canonicalise(weights))
        return
    canonical = inr.canonicalise(weights)
    torch.testing.assert_close(inr(canonical, coords), inr(weights, coords), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(inr.canonicalise(canonical), canonical, rtol=1e-8, atol=1e-8)
    renumbered = permute_randomly(inr.layout, weights, generator())
    for member in (renumbered, inr.random_member(weights, generator())):
        torch.testing.assert_close(inr.canonicalise(member), canonical, rtol=1e-8, atol=1e-8)
    one_by_one = torch.stack([inr.canonicalise(one) for one in weights])
    torch.testing.assert_close(one_by_one, canonical, rtol=1e-8, atol=1e-8)
    assert inr.canonicalise(weights.float()).dtype == torch.float32


def motions(size: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Name -> A (D, D) and t (D,): from what every family can do to what few can."""
    eye, still = torch.eye(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    reflection, rotation, shear = eye.clone(), eye.clone(), eye.clone()
    reflection[0, 0] = -1
    if size > 1:
        rotation[:2, :2] = torch.tensor([[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]])
        shear[0, 1] = 0.3
    shift = torch.linspace(-0.2, 0.3, size, dtype=torch.float64)
    return {
        "nothing": (eye, still),
        "shift": (eye, shift),
        "point reflection": (-eye, shift),
        "reflection": (reflection, still),
        "exchange": (eye.flip(0), shift),
        "scale": (1.3 * eye, shift),
        "rotation": (rotation, shift),
        "shear": (shear, shift),
        "everything": (rotation @ (0.8 * shear) @ reflection, shift),
    }


def check_motions(inr: INR) -> None:
    """Moved weights are the moved function, or the motion is refused; nobody who moves refuses a shift."""
    weights, coords = fitted(inr), points(inr)
    for name, (matrix, shift) in motions(inr.in_features).items():
        if type(inr).transform_coords is INR.transform_coords:
            check_refusal(inr, "transform_coords", lambda a=matrix, t=shift: inr.transform_coords(weights, a, t))
            continue
        try:
            moved = inr.transform_coords(weights, matrix, shift)
        except InrzooError:
            assert name not in ("nothing", "shift"), f"{name} is refused"
            continue
        before = torch.linalg.solve(matrix, (coords - shift).T).T
        torch.testing.assert_close(
            inr(moved, coords),
            inr(weights, before),
            rtol=1e-7,
            atol=1e-7,
            msg=lambda text, name=name: f"{name}: {text}",
        )


STORE_PAGE = (Path(__file__).parents[1] / "docs" / "store.md").read_text(encoding="utf-8")
TENSORS, EVALUATE = re.findall(r"```python\n(.*?)```", STORE_PAGE.partition("## The formula\n")[2], re.DOTALL)[:2]
"""The page for readers without inrzoo: `tensors` of one INR by name, then its `values` at coordinates `x`."""


def tensors_of(inr: INR, weights_P: Any) -> dict[str, Any]:
    """The tensors of an INR by name, with those of its base if it has one."""
    shared = {} if inr.base_layout is None else inr.base_layout.split(inr.base_weights.astype(np.float64))
    return {**shared, **inr.layout.split(weights_P)}


def check_formula(inr: INR) -> None:
    """The formula, read back from JSON and followed in numpy alone, gives the INR's values; or there is none."""
    made = inr.formula()
    if made is None:
        return
    weights, coords = fitted(inr), points(inr)
    recorded = json.loads(json.dumps(made.to_json()))
    assert Formula.from_json(recorded) == made
    for weights_P, expected_KC in zip(weights.numpy(), inr(weights, coords).numpy(), strict=True):
        names = {"np": np, "formula": recorded, "tensors": tensors_of(inr, weights_P), "x": coords.numpy()}
        exec(EVALUATE, names)
        np.testing.assert_allclose(names["values"], expected_KC, rtol=1e-9, atol=1e-9)


def check_activations(inr: INR) -> None:
    """Those of the output are the values, and those of neurons are renumbered with them; or there are none."""
    weights, coords = fitted(inr), points(inr)
    if inr.formula() is None:
        check_refusal(inr, "formula", lambda: inr.activations(weights, coords))
        return
    said = inr.activations(weights, coords)
    network = inr.layout if inr.base_layout is None else inr.base_layout
    assert {axis: tuple(values.shape) for axis, values in said.items()} == {
        axis: (N, len(coords), size) for axis, size in network.axes.items() if not axis.startswith(("latent", "rank"))
    }
    torch.testing.assert_close(said["out"], inr(weights, coords), rtol=1e-9, atol=1e-9)
    orders = {axis: torch.randperm(size, generator=generator()) for axis, size in inr.layout.neuron_axes.items()}
    moved = inr.activations(inr.layout.permute(weights, orders), coords)
    for axis, values in said.items():
        order = orders.get(axis, torch.arange(values.shape[-1]))
        torch.testing.assert_close(moved[axis], values[..., order], rtol=1e-9, atol=1e-9)


def check_numpy(inr: INR) -> None:
    """Arrays of numpy give arrays of numpy, the values of torch; they are not mixed with tensors."""
    weights, coords = fitted(inr).float(), points(inr).float()
    for own in (coords, coords + torch.linspace(-0.1, 0.1, N)[:, None, None]):
        values = inr(weights.numpy(), own.numpy())
        assert isinstance(values, np.ndarray) and values.dtype == np.float32
        np.testing.assert_allclose(values, inr(weights, own).numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(inr(weights[1].numpy(), coords.numpy()), inr(weights[1], coords), rtol=0, atol=1e-5)
    try:
        inr(weights.numpy(), coords)
    except TypeError as error:
        assert "numpy" in str(error) and "torch" in str(error)
    else:
        raise AssertionError("weights of numpy and coordinates of torch were mixed")


def check_refusal(inr: INR, method: str, call: Any) -> None:
    try:
        call()
    except InrzooError as error:
        assert type(inr).__name__ in str(error) and method in str(error) and "\n" not in str(error)
    else:
        raise AssertionError(f"{method} is not defined and yet does something")


CHECKS = [
    check_start,
    check_symmetries,
    check_canonical_form,
    check_motions,
    check_formula,
    check_activations,
    check_numpy,
]
