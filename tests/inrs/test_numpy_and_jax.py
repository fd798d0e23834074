"""INRs and layouts in numpy, without torch, and in jax, with gradients: the values of torch.

Each in a process of its own: torch is not there for the first, and forks of a process with jax are warned of.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from inr_contract import fitted, make, points, settings

from inrzoo.weights import WeightLayout, WeightTensor

FAMILIES = [("siren", {}), ("fourier_net", {}), ("gabor_net", {})]
FAMILIES += [("relu_mlp", {"encoding": encoding}) for encoding in ("none", "positional", "log_spaced", "fourier")]
FAMILIES += [("latent_siren", {"modulation": modulation}) for modulation in ("shift", "low_rank")]

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # an import of it fails
import numpy as np
from inrzoo import bases, registry

arrays = np.load(sys.argv[1])
for number, (name, fields) in enumerate(FAMILIES):
    if f"{number} base" in arrays:
        fields = {**fields, "base": bases.remember(arrays[f"{number} base"])}
    inr = registry.make("inrs", {"name": name, **fields}, in_features=2, out_features=3, nyquist=20.0)
    weights, coords, expected = (arrays[f"{number} {what}"] for what in ("weights", "coords", "values"))
    np.testing.assert_allclose(inr(weights, coords), expected, rtol=0, atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(inr.layout.join(inr.layout.split(weights)), weights)
"""
IN_JAX = """
import sys
sys.path[:0] = [sys.argv[1]]
import jax, torch
import jax.numpy as jnp
import numpy as np
from inr_contract import fitted, make, points

for name, fields in FAMILIES:
    inr = make(name, **fields)
    weights, coords = fitted(inr).float(), points(inr).float()
    expected = inr(weights, coords).numpy()
    arrays = jnp.asarray(weights.numpy()), jnp.asarray(coords.numpy())
    for call in (inr, jax.jit(inr)):
        values = call(*arrays)
        assert isinstance(values, jax.Array) and values.dtype == jnp.float32
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5, err_msg=f"{name} {fields}")
    weights.requires_grad_()
    gradient, = torch.autograd.grad(inr(weights, coords).square().sum(), weights)
    ours = jax.grad(lambda w: (inr(w, arrays[1]) ** 2).sum())(arrays[0])
    scale = float(gradient.abs().max())
    np.testing.assert_allclose(ours, gradient.numpy(), rtol=0, atol=1e-5 * scale, err_msg=f"{name} {fields}")
    tensors = inr.layout.split(arrays[0])
    assert all(isinstance(tensor, jax.Array) for tensor in tensors.values())
    np.testing.assert_array_equal(inr.layout.join(tensors), arrays[0])
    if not inr.layout.neuron_axes:
        continue
    axis, size = next(iter(inr.layout.neuron_axes.items()))
    orders = np.stack([np.roll(np.arange(size), shift) for shift in range(len(weights))])
    permuted = inr.layout.permute_each(arrays[0], {axis: jnp.asarray(orders)})
    np.testing.assert_array_equal(permuted, inr.layout.permute_each(weights.detach().numpy(), {axis: orders}))
    np.testing.assert_allclose(inr(permuted, arrays[1]), expected, rtol=0, atol=1e-5)
"""


def run(script: str, *arguments: object) -> None:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_numpy_needs_no_torch(tmp_path):
    arrays = {}
    for number, (name, fields) in enumerate(FAMILIES):
        inr = make(name, **fields)
        weights, coords = fitted(inr).float(), points(inr).float()
        parts = {"weights": weights, "coords": coords, "values": inr(weights, coords)}
        arrays |= {f"{number} {what}": part.numpy() for what, part in parts.items()}
        arrays |= {} if inr.base_layout is None else {f"{number} base": inr.base_weights}
    assert {name for name, _ in FAMILIES} == {name for name, _ in settings()}, "every INR of inrzoo"
    np.savez(tmp_path / "arrays.npz", **arrays)
    run(f"FAMILIES = {FAMILIES}\n{WITHOUT_TORCH}", tmp_path / "arrays.npz")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_jax_gives_the_values_and_gradients_of_torch():
    run(f"FAMILIES = {FAMILIES}\n{IN_JAX}", Path(__file__).parents[1])


def test_float64_of_numpy_stays_float64():
    inr = make("relu_mlp", encoding="positional")
    weights, coords = fitted(inr), points(inr)
    values = inr(weights.numpy(), coords.numpy())
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, inr(weights, coords).numpy(), rtol=0, atol=1e-12)


def test_what_is_no_array_is_refused():
    inr = make("siren")
    with pytest.raises(TypeError, match="expected an array of numpy or jax, or a tensor of torch, not list"):
        inr([0.0] * inr.layout.num_params, torch.zeros(3, 2))
    layout = WeightLayout((WeightTensor("a", (2,), ("out",)), WeightTensor("b", (1,), ("in",))))
    with pytest.raises(TypeError, match="arrays of numpy and of torch were mixed"):
        layout.join({"a": np.zeros(2), "b": torch.zeros(1)})
