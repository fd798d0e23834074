"""A reader that knows docs/store.md alone, and imports nothing of inrzoo, evaluates INRs of every kind of signal."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.store import open_store

READER = """
import json, sys
import numpy as np, zarr

path, signal = sys.argv[1], int(sys.argv[2])
group = zarr.open_group(path, mode="r")
about = json.loads(json.dumps(dict(group.attrs)))
own, inr = about["manifest"], about["inr"]

# Weights: one vector of all tensors, one after the other.
vector, tensors, at = group["weights"][signal, 0, -1].astype(np.float64), {}, 0
for tensor in about["layout"]:
    size = int(np.prod(tensor["shape"]))
    tensors[tensor["name"]] = vector[at : at + size].reshape(tensor["shape"])
    at += size

# Coordinates: points of the signal's own, or a grid.
extent = own["coords"].get("extent", 1.0)
if "signals.points" in group:
    coords = group["signals.points"][signal].astype(np.float64) * extent
else:
    axes = [np.linspace(-extent, extent, size) for size in about["grid"]]
    coords = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))

# SIREN: sin(omega (W x + b)), then a linear layer.
depth, hidden = sum(name.startswith("weight") for name in tensors), coords
for layer in range(depth):
    hidden = hidden @ tensors[f"weight_{layer}"].T + tensors[f"bias_{layer}"]
    omega = inr["omega_0"] if layer == 0 else inr.get("omega_hidden") or inr["omega_0"]
    hidden = np.sin(omega * hidden) if layer < depth - 1 else hidden
hidden = hidden + inr.get("output_offset", 0.0)

# Numbers: the limits of the signal become the ends of the value range.
low, high = own["values"]["range"]
types = {"uint8": (0, 255), "int16": (-32768, 32768)}
scaled = own["values"].get("scale", "dtype") != "dtype"
first, last = group["signals.limits"][signal] if scaled else types[own["values"].get("dtype", "uint8")]
numbers = first + (hidden - low) * (last - first) / (high - low)
error = numbers - group["signals"][signal].astype(np.float64)
np.savez(sys.argv[3], values=hidden, numbers=numbers, loss=np.mean((error * (high - low) / (last - first)) ** 2))
"""
KEYS = {
    "digits": {"limit": 12},
    "tones": {"source.num_samples": 64},
    "solids": {"source.num_points": 64, "source.num_held_out": 32, "fit.num_coords": 20},
}


@pytest.mark.parametrize("name", KEYS)
def test_a_pixel_a_sound_and_a_distance_without_inrzoo(name: str, tmp_path: Path) -> None:
    keys = {"fit.engine": "reference", "fit.steps": 40, "inr.hidden_features": 8, **KEYS[name]}
    build(manifest.load(name, None, keys), tmp_path / "made.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "made.zarr")
    words = [sys.executable, "-I", "-c", READER, str(store.path), "5", str(tmp_path / "read.npz")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "inrzoo" not in READER, done.stderr
    read, coords = np.load(tmp_path / "read.npz"), store.targets(slice(5, 6)).coords
    rendered = store.render(5, coords=coords.reshape(-1, coords.shape[-1])).numpy()
    np.testing.assert_allclose(read["values"], rendered, atol=1e-4)
    assert read["loss"] == pytest.approx(store.loss[5, 0, -1], rel=1e-4)
    assert len([line for line in READER.splitlines() if line and not line.startswith("#")]) <= 40
    assert json.loads((store.path / "zarr.json").read_text())["attributes"]["format"] == 1
