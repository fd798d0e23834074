"""Writers of public sets in miniature, and their networks in plain numpy, after
docs/derivations/published_sets.md#who-writes-what.

Nothing of inrzoo is imported: each writer makes the calls of the project's own one in their order.

Shape letters: N fields, K points, D coordinates, C channels.
"""

import json
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import dill
import h5py
import numpy as np
import torch

IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))


def drawn(rng: np.random.Generator, *shape: int, scale: float = 0.5) -> np.ndarray:
    return (scale * rng.normal(size=shape)).astype(np.float32)


def x_y_grid(height: int, width: int) -> np.ndarray:
    """End points of [-1, 1], (x, y), row by row: meshgrid's default, as fit-a-nef, DWSNets and Implicit-Zoo have it."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32).astype(np.float64)  # theirs are float32, too


# --- fit-a-nef: flax, bias before kernel, kernels (in, out) ----------------------------------------------------


def nef_params(model: str, rng: np.random.Generator, *, d: int = 2, h: int = 4, c: int = 1, n: int = 3) -> dict:
    """Tensors of one field of n linear layers (filters of a FourierNet), by flax's flattened names, in saved order."""
    params: dict[str, np.ndarray] = {}

    def dense(name: str, num_in: int, num_out: int) -> None:
        params[f"{name}.bias"] = drawn(rng, num_out)
        params[f"{name}.kernel"] = drawn(rng, num_in, num_out)

    if model == "FourierNet":
        for i in range(n):
            dense(f"filters_{i}.linear", d, h)
        for i in range(n - 1):
            dense(f"linears_{i}", h, h)
        dense("output_linear", h, c)
        return params
    names = [f"kernel_net_{i}.linear" if model == "SIREN" else f"Dense_{i}" for i in range(n - 1)]
    names.append("output_linear" if model == "SIREN" else f"Dense_{n - 1}")
    sizes = [d, *[h] * (n - 1), c]
    for name, num_in, num_out in zip(names, sizes, sizes[1:], strict=False):
        dense(name, num_in, num_out)
    return params


def nef_values(model: str, params: dict, coords_KD: np.ndarray, omega_0: float = 8.0) -> np.ndarray:
    """A field of fit-a-nef at points, (K, C), in float64."""
    p = {name: tensor.astype(np.float64) for name, tensor in params.items()}

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        return x @ p[f"{name}.kernel"] + p[f"{name}.bias"]

    h = coords_KD
    if model == "FourierNet":
        count = sum(name.startswith("filters_") for name in p) // 2
        h = np.sin(dense("filters_0.linear", coords_KD))
        for i in range(1, count):
            h = np.sin(dense(f"filters_{i}.linear", coords_KD)) * dense(f"linears_{i - 1}", h)
        return dense("output_linear", h)
    names = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in p))
    for name in names[:-1]:
        h = np.sin(omega_0 * dense(name, h)) if model == "SIREN" else np.maximum(dense(name, h), 0)
    return dense(names[-1], h)


def write_nefs(path: Path, fields: list[dict], labels: list[int] | None) -> None:
    """As SignalTrainer.save: params, param_config as one string, then the attributes."""
    config = json.dumps([(name, tensor.shape) for name, tensor in fields[0].items()])
    rows = np.stack([np.concatenate([tensor.reshape(-1) for tensor in field.values()]) for field in fields])
    with h5py.File(path, "w") as f:
        f.create_dataset("params", data=rows)
        data = f.create_dataset("param_config", (1,), dtype=h5py.special_dtype(vlen=str))
        data[0] = config
        if labels is not None:
            f.create_dataset("labels", data=labels)


def nef_folder(
    home: Path, model: str = "SIREN", counts: tuple[int, ...] = (4, 2), labels: bool = True, **sizes: int
) -> list[dict]:
    """A folder of files of so many fields each, with nef.json; returns the fields."""
    rng, fields, first = np.random.default_rng(0), [], 0
    home.mkdir(parents=True)
    for count in counts:
        part = [nef_params(model, rng, **sizes) for _ in range(count)]
        codes = [(first + row) % 3 for row in range(count)] if labels else None
        write_nefs(home / f"nefs_{first}-{first + count}.hdf5", part, codes)
        fields += part
        first += count
    settings = {"SIREN": {"omega_0": 8.0}}.get(model, {})
    (home / "nef.json").write_text(json.dumps({"name": model, "params": settings}))
    return fields


# --- Implicit-Zoo: torch.save of {"image_idx", "params"} -------------------------------------------------------


def zoo_state(seed: int, c: int = 3, h: int = 4) -> OrderedDict:
    rng = np.random.default_rng(seed)
    sizes = [2, h, h, c]
    state = OrderedDict()
    for i in range(3):
        state[f"seq.{i}.weight"] = torch.from_numpy(drawn(rng, sizes[i + 1], sizes[i], scale=0.05))
        state[f"seq.{i}.bias"] = torch.from_numpy(drawn(rng, sizes[i + 1], scale=0.05))
    return state


def zoo_values(state: dict, coords_KD: np.ndarray) -> np.ndarray:
    """INR.forward: sin(30 (W x + b)) twice, then a linear layer."""
    h = coords_KD
    for i in range(3):
        h = h @ state[f"seq.{i}.weight"].double().numpy().T + state[f"seq.{i}.bias"].double().numpy()
        h = np.sin(30.0 * h) if i < 2 else h
    return h


def zoo_folder(home: Path, labels: list[int], seeds: int = 1, start: int = 0) -> dict[tuple[int, int], OrderedDict]:
    """A run of generate_cifar_dataset_siren.py; seed 42 for all, or the image's number plus the seed's."""
    states, psnrs = {}, {}
    for index, label in enumerate(labels):
        for seed in range(seeds):
            name = str(42 if seeds == 1 else index + seed).zfill(7)
            folder = home / "ckpts" / str(label).zfill(2)
            folder.mkdir(parents=True, exist_ok=True)
            states[index, seed] = zoo_state(100 * index + seed)
            checkpoint = {"image_idx": index, "params": states[index, seed]}
            torch.save(checkpoint, folder / f"{str(index).zfill(6)}_{name}.ckpt")
        psnrs[str(index)] = 30.0 + index
    (home / f"{start}_{start + len(labels)}.json").write_text(json.dumps(psnrs))
    return states


# --- inr2vec: the parameters of a torch module, one after the other --------------------------------------------


def shape_params(rng: np.random.Generator, h: int = 5, hidden: int = 2) -> list[np.ndarray]:
    sizes = [3, *[h] * (hidden + 1), 1]
    pairs = list(pairwise(sizes))
    return [
        array for num_in, out in pairs for array in (drawn(rng, out, num_in, scale=0.1), drawn(rng, out, scale=0.1))
    ]


def shape_values(params: list[np.ndarray], coords_KD: np.ndarray) -> np.ndarray:
    """mlp_batched_forward."""
    f = coords_KD
    for i in range(len(params) // 2):
        f = f @ params[2 * i].astype(np.float64).T + params[2 * i + 1]
        f = np.sin(30 * f) if i < len(params) // 2 - 1 else f
    return f


def shape_folder(home: Path, mesh: bool, **sizes: int) -> dict[str, list[np.ndarray]]:
    """Splits train, val, test; a mesh or a cloud of points beside the weights."""
    rng, made = np.random.default_rng(0), {}
    for split, count in (("train", 11), ("val", 2), ("test", 2)):
        for number in range(count):
            params = shape_params(rng, **sizes)
            path = home / split / f"{number}.h5"
            path.parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(path, "w") as f:
                if mesh:
                    f.create_dataset("vertices", data=np.zeros((4, 3), dtype=np.float32))
                    f.create_dataset("num_vertices", data=np.array(4))
                    f.create_dataset("triangles", data=np.zeros((2, 3), dtype=np.int64))
                    f.create_dataset("num_triangles", data=np.array(2))
                else:
                    f.create_dataset("pcd", data=np.zeros((8, 3), dtype=np.float32))
                f.create_dataset("params", data=np.concatenate([array.reshape(-1) for array in params]))
                f.create_dataset("class_id", data=np.array(number % 3))
            made[f"{split}/{number}"] = params
    return made


# --- functa: dill of modulations, and of haiku's parameters and the configuration ------------------------------


class Functa:
    """A latent_modulated_siren in numpy: hk.Linear is x @ w + b, modulations come from an MLP with relu."""

    def __init__(self, *, depth: int, scale: bool, shift: bool = True, layers: tuple[int, ...] = (), dim: int = 5):
        rng, width, self.dim = np.random.default_rng(3), 6, dim
        self.model = {
            "type": "latent_modulated_siren",
            "width": width,
            "depth": depth,
            "w0": 30.0,
            "latent_dim": dim,
            "layer_sizes": layers,
            "modulate_scale": scale,
            "modulate_shift": shift,
        }
        name = "latent_modulated_siren"
        self.params: dict[str, dict[str, np.ndarray]] = {
            f"{name}/~/meta_sgd_lrs": {"meta_sgd_lrs": drawn(rng, dim)},
            f"{name}/~/latent_vector": {"latent_vector": drawn(rng, dim)},
        }
        sizes = [dim, *layers, (depth - 1) * width * (scale + shift)]
        for i, (num_in, out) in enumerate(pairwise(sizes)):
            linear = f"{name}/~/latent_to_modulation/~/mlp/~/linear_{i}"
            self.params[linear] = {"w": drawn(rng, num_in, out, scale=0.1), "b": drawn(rng, out, scale=0.02)}
        sizes = [2, *[width] * (depth - 1), 3]
        for i, (num_in, out) in enumerate(pairwise(sizes)):
            linear = f"{name}/modulated_siren_layer{f'_{i}' if i else ''}/linear"
            self.params[linear] = {"w": drawn(rng, num_in, out, scale=0.02), "b": drawn(rng, out, scale=0.02)}

    def values(self, latent: np.ndarray, resolution: int) -> np.ndarray:
        """The image of a latent vector at the pixel centres of [0, 1], (row, column)."""
        line = (np.arange(resolution) + 0.5) / resolution  # of 8 pixels exact in float32
        x = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
        p = {key: {n: a.astype(np.float64) for n, a in tensors.items()} for key, tensors in self.params.items()}
        linears = [tensors for key, tensors in p.items() if "latent_to_modulation" in key]
        h = latent.astype(np.float64)
        for i, linear in enumerate(linears):
            h = h @ linear["w"] + linear["b"]
            h = np.maximum(h, 0) if i < len(linears) - 1 else h
        scale, shift = self.model["modulate_scale"], self.model["modulate_shift"]
        width, depth = self.model["width"], self.model["depth"]
        for i in range(depth):
            linear = p[f"latent_modulated_siren/modulated_siren_layer{f'_{i}' if i else ''}/linear"]
            x = x @ linear["w"] + linear["b"]
            if i == depth - 1:
                return x + 0.5
            part = h[i * width * (scale + shift) :]
            x = x * (part[:width] + 1) if scale else x
            x = x + part[width * scale : width * (scale + 1)] if shift else x
            x = np.sin(30.0 * x)
        raise AssertionError

    def write(self, home: Path, resolution: int = 8) -> tuple[Path, Path, np.ndarray]:
        """The two files, and the latent vectors of three training and two test images."""
        latents = drawn(np.random.default_rng(7), 5, self.dim)
        dataset = {"type": "image", "name": "celeb_a_hq", "num_channels": 3, "resolution": resolution}
        base, modulations = (
            home / f"celeba_params_{self.dim}_latents.npz",
            home / f"celeba_modulations_{self.dim}_latents.npz",
        )
        with base.open("wb") as f:
            dill.dump({"params": self.params, "config": {"model": self.model, "dataset": dataset}}, f)
        psnr = np.arange(30, 35, dtype=np.float32)
        train = {"modulation": latents[:3], "psnr": psnr[:3]}
        test = {"modulation": latents[3:], "psnr": psnr[3:]}
        with modulations.open("wb") as f:
            dill.dump({"train": train, "test": test}, f)
        return modulations, base, latents
