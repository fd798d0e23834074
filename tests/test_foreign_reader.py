"""A reader that knows docs/store.md alone, and imports nothing of inrzoo, evaluates INRs of every kind of signal."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from inr_contract import EVALUATE, TENSORS

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.store import open_store

OPENED = """
import json, sys
import numpy as np, zarr

path, signal = sys.argv[1], int(sys.argv[2])
group = zarr.open_group(path, mode="r")
about = json.loads(json.dumps(dict(group.attrs)))
own = about["manifest"]

# Weights: one vector of all tensors, one after the other.
vector, tensors, at = group["weights"][signal, 0, -1].astype(np.float64), {}, 0
for tensor in about["layout"]:
    size = int(np.prod(tensor["shape"]))
    tensors[tensor["name"]] = vector[at : at + size].reshape(tensor["shape"])
    at += size
"""
WHERE = """
# Coordinates: points of the signal's own, or a grid.
extent = own["coords"].get("extent", 1.0)
if "signals.points" in group:
    coords = group["signals.points"][signal].astype(np.float64) * extent
else:
    axes = [np.linspace(-extent, extent, size) for size in about["grid"]]
    coords = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
"""
NETWORK = f"""
formula, x = about["formula"], coords
{EVALUATE}
hidden = values
"""
NUMBERS = """
# Numbers: the limits of the signal become the ends of the value range.
low, high = own["values"]["range"]
types = {"uint8": (0, 255), "int16": (-32768, 32768)}
scaled = own["values"].get("scale", "dtype") != "dtype"
first, last = group["signals.limits"][signal] if scaled else types[own["values"].get("dtype", "uint8")]
numbers = first + (hidden - low) * (last - first) / (high - low)
error = numbers - group["signals"][signal].astype(np.float64)
np.savez(sys.argv[3], values=hidden, numbers=numbers, loss=np.mean((error * (high - low) / (last - first)) ** 2))
"""
RAYS = """
# Rays through the middles of pixels; the parts of them in [-1, 1]^3, cut into intervals of equal length.
extent, seen_by = own["coords"].get("extent", 1.0), own["observation"]
fx, fy, cx, cy = group["signals.intrinsics"][signal]
row, column = np.mgrid[: about["grid"][1], : about["grid"][2]] + 0.5
way = np.stack([(column - cx) / fx, (cy - row) / fy, -np.ones_like(row)], -1).reshape(-1, 3)
poses = group["signals.poses"][signal].astype(np.float64)
way = np.concatenate([way / np.linalg.norm(way, axis=1)[:, None] @ pose[:, :3].T for pose in poses])
eye = np.repeat(poses[:, :, 3], row.size, 0)
ends = np.stack([(-1 - eye) / way, (1 - eye) / way])
near, far = np.maximum(ends.min(0).max(1), 0), ends.max(0).min(1)
length = np.maximum(far - near, 0)[:, None] / seen_by["samples"]
depth = near[:, None] + length * (np.arange(seen_by["samples"]) + 0.5)
coords = extent * (eye[:, None] + depth[..., None] * way[:, None]).reshape(-1, 3)
"""
COMPOSITE = """
# Volume rendering: what is left of the light before an interval, and how much of it the interval takes.
raw = hidden[:, -1] + seen_by["density_shift"]
density = seen_by["density_scale"] * (np.logaddexp(0, raw) if seen_by["density"] == "softplus" else np.maximum(0, raw))
thick = density.reshape(length.shape[0], -1) * length
weight = np.exp(thick - thick.cumsum(1)) * (1 - np.exp(-thick))
colours = (1 / (1 + np.exp(-hidden[:, :-1]))).reshape(*thick.shape, -1)
shown = (weight[..., None] * colours).sum(1) + (1 - weight.sum(1))[:, None] * (seen_by["background"] == "white")
hidden = own["values"]["range"][0] + (own["values"]["range"][1] - own["values"]["range"][0]) * shown
"""
READER, VIEWER = OPENED + WHERE + NETWORK + NUMBERS, OPENED + RAYS + NETWORK + COMPOSITE + NUMBERS
KEYS = {
    "digits": {"limit": 12},
    "tones": {"source.num_samples": 64},
    "solids": {"source.num_points": 64, "source.num_held_out": 32, "fit.num_coords": 20},
    "balls": {"source.size": 6, "fit.num_coords": 20, "observation.samples": 8, "coords.extent": 2.0},
}


@pytest.mark.parametrize("name", KEYS)
def test_a_pixel_a_sound_a_distance_and_a_view_without_inrzoo(name: str, tmp_path: Path) -> None:
    keys = {"fit.engine": "reference", "fit.steps": 40, "inr.hidden_features": 8, **KEYS[name]}
    build(manifest.load(name, None, keys), tmp_path / "made.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "made.zarr")
    script = VIEWER if name == "balls" else READER
    words = [sys.executable, "-I", "-c", script, str(store.path), "5", str(tmp_path / "read.npz")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "inrzoo" not in script, done.stderr
    read, coords = np.load(tmp_path / "read.npz"), torch.from_numpy(store.targets(slice(5, 6)).coords)
    rendered = store.predict(torch.from_numpy(store.weights[5, 0, -1][None]), coords)[0].numpy()
    np.testing.assert_allclose(read["values"], rendered, atol=1e-4)
    assert read["loss"] == pytest.approx(store.loss[5, 0, -1], rel=1e-4)
    assert len([line for line in script.splitlines() if line and not line.startswith("#")]) <= 66
    assert json.loads((store.path / "zarr.json").read_text())["attributes"]["format"] == 1


def test_the_page_opens_a_store_with_zarr_alone(finished: Path, tmp_path: Path) -> None:
    store = open_store(finished)
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    np.save(tmp_path / "x.npy", x)
    script = "\n".join([
        f"signal, seed, step = 7, 1, 0\n{TENSORS.replace('digits.zarr', str(finished))}",
        f"x = np.load({str(tmp_path / 'x.npy')!r})\n{EVALUATE}",
        f"np.save({str(tmp_path / 'values.npy')!r}, values)",
    ])  # fmt: skip
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rendered = store.render(7, 1, 0, coords=x).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "values.npy"), rendered, atol=1e-5)
