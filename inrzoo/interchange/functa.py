"""functa's modulations of one shared SIREN: pickles `*_modulations_*.npz` and, as `--base`, `*_params_*.npz`.

A modulation is a latent vector; a network turns it into a shift (and a scale) of every hidden pre-activation. Shifts by
one linear map, which all published sets have, are `latent_siren`: the store has the vectors as they are, and the shared
weights as their base. Otherwise scale and shift become part of the weights: the same function as a SIREN of its own.
From google-deepmind/functa function_reps.py, modulation_dataset_writer.py, pytree_conversions.py; see
docs/derivations/published_sets.md#functa.

Shape letters: N signals, M numbers of a modulation, L layers of the base, P parameters of one INR.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo import bases, registry
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.interchange.incoming import UNLABELLED, Fits, IncomingSet, OnFile, Options, meaning_of
from inrzoo.interchange.pickled_arrays import read_arrays
from inrzoo.store.files import sha256

CONVENTION = "functa"
SPLITS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
PSNR = "published_psnr"
"""Column of functa's own PSNRs: in dB, over values in [0, 1]."""
ROWS_AT_ONCE = 256
MOST_BYTES = 2**33
"""Bytes of a file that are read at once."""
_LAYER = re.compile(r"latent_modulated_siren/modulated_siren_layer(?:_(?P<layer>\d+))?/linear")
_MODULATOR = re.compile(r"latent_modulated_siren/~/latent_to_modulation/~/mlp/~/linear_(?P<layer>\d+)")


@dataclass(frozen=True)
class Base:
    """The shared weights.

    Attributes:
        weights, biases: of L layers, float64: (out, in) and (out,).
        modulator: matrices (in, out) and biases of the network from a latent vector to modulations, relu between them.
        omega_0: ω₀ of every sine.
        scales, shifts: which modulations there are.
        latent_dim: M.
        resolution: pixels of a side of the images, or None.
    """

    weights: list[NDArray[np.float64]]
    biases: list[NDArray[np.float64]]
    modulator: list[tuple[NDArray[np.float64], NDArray[np.float64]]]
    omega_0: float
    scales: bool
    shifts: bool
    latent_dim: int
    resolution: int | None

    @property
    def keeps_latents(self) -> bool:
        """Whether the modulations are latents of `latent_siren`."""
        return self.shifts and not self.scales and len(self.modulator) == 1

    def spec(self) -> dict[str, Any]:
        """The INR table of the latents, with their base, which this process remembers; or of one modulated SIREN."""
        spec = self._siren()
        if not self.keeps_latents:
            return spec
        own = {key: value for key, value in spec.items() if key not in ("convention", "bias_inside")}
        own |= {"name": "latent_siren", "latent_dim": self.latent_dim, "modulation": "shift"}
        inr: INR = registry.make("inrs", own)
        assert inr.base_layout is not None
        (tensors,) = self.expand(np.zeros((1, self.latent_dim)))  # the map's bias is in the biases of the base
        width = self.weights[0].shape[0]
        for i in range(len(self.weights) - 1):
            tensors[f"shift_{i}"] = self.modulator[0][0][:, i * width : (i + 1) * width].T
        base_Q: NDArray[np.float64] = inr.base_layout.join(tensors)
        return {**own, "base": bases.remember(base_Q.astype(np.float32))}

    def _siren(self) -> dict[str, Any]:
        return {
            "name": "siren",
            "in_features": self.weights[0].shape[1],
            "out_features": self.weights[-1].shape[0],
            "hidden_features": self.weights[0].shape[0],
            "hidden_layers": len(self.weights) - 2,
            "omega_0": self.omega_0,
            "convention": "sitzmann",
            "bias_inside": True,
            "output_offset": 0.5,
        }

    def expand(self, latents_NM: NDArray[np.float64]) -> list[dict[str, NDArray[np.float64]]]:
        """Return the tensors of the SIREN of each latent vector, for coordinates in [−1, 1].

        functa's coordinates u lie in [0, 1], and u = (x + 1) / 2: the first matrix is halved, and half the sum of its
        rows goes into the bias.
        """
        hidden = latents_NM
        for number, (matrix, bias) in enumerate(self.modulator, start=1):
            hidden = hidden @ matrix + bias
            hidden = hidden if number == len(self.modulator) else np.maximum(hidden, 0)
        width, each = self.weights[0].shape[0], int(self.scales) + int(self.shifts)
        modulations = hidden.reshape(len(latents_NM), len(self.weights) - 1, each, width)
        expanded = []
        for layers in modulations:
            tensors: dict[str, NDArray[np.float64]] = {}
            for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
                if i == 0:
                    weight, bias = weight / 2, bias + weight.sum(axis=1) / 2
                if i < len(layers):
                    scale = layers[i][0] + 1 if self.scales else np.ones(width)
                    shift = layers[i][-1] if self.shifts else np.zeros(width)
                    weight, bias = scale[:, None] * weight, scale * bias + shift
                tensors[f"weight_{i}"], tensors[f"bias_{i}"] = weight, bias
            expanded.append(tensors)
        return expanded


def read_file(path: Path, options: Options) -> IncomingSet:
    """List the modulations in a file, and read the shared weights.

    Raises:
        InrzooError: a file is damaged, is no pickle of arrays, or the shared weights are missing.
    """
    parts = _modulations(path)
    if options.base is None:
        dim = next(iter(parts.values()))[0].shape[1]
        raise InrzooError(
            f"{path} has modulations of {dim} numbers of a network that lies in another file; pass it with --base, "
            f"such as celeba_params_{dim}_latents.npz"
        )
    base = base_of(options.base)
    for name, (latents_NM, _) in parts.items():
        if latents_NM.shape[1] != base.latent_dim:
            raise InrzooError(
                f"{path}: {name} has modulations of {latents_NM.shape[1]} numbers, the network in {options.base} takes "
                f"{base.latent_dim}"
            )
    meaning = meaning_of(
        base.spec(),
        {"spacing": "pixel_centres", "axis_order": "row_col", "extent": 1.0},
        (0.0, 1.0),
        by=f"convention {CONVENTION}",
        recognised_by="--convention" if options.convention else "the arrays modulation and psnr",
        options=options,
        said={"inr.omega_0": "--base"},
    )
    inr: INR = registry.make("inrs", meaning.spec)
    if inr.base_layout is not None and inr.base_layout.num_params != len(bases.find(meaning.spec["base"])):
        raise InrzooError(f"--inr contradicts the network in {options.base}, whose base has another size")
    latents_NM = np.concatenate([latents for latents, _ in parts.values()])
    psnr_N = np.concatenate([psnr for _, psnr in parts.values()])
    ids = [f"{name}/{row:05d}" for name, (latents, _) in parts.items() for row in range(len(latents))]
    split_names = list(dict.fromkeys(SPLITS[name] for name in parts))
    codes = [split_names.index(SPLITS[name]) for name, (latents, _) in parts.items() for _ in latents]
    files = (path, options.base)

    def read(weights_SNP: NDArray[np.float32], on_file: OnFile) -> str:
        on_file(0, len(latents_NM))
        for start in range(0, len(latents_NM), ROWS_AT_ONCE):
            part = latents_NM[start : start + ROWS_AT_ONCE]
            if base.keeps_latents:
                weights_SNP[0, start : start + len(part)] = part
                on_file(start + len(part), len(latents_NM))
                continue
            for row, tensors in enumerate(base.expand(part), start=start):
                weights_SNP[0, row] = inr.layout.join(tensors)
            on_file(start + len(part), len(latents_NM))
        return hashlib.sha256(b"".join(bytes.fromhex(sha256(file)) for file in files)).hexdigest()

    return IncomingSet(
        source=path,
        format="modulations",
        convention=CONVENTION,
        meaning=meaning,
        ids=ids,
        keys=ids,
        names=[f"{path.name} {signal_id}" for signal_id in ids],
        split=np.array(codes, dtype=np.uint8),
        split_names=split_names,
        labels={"class": np.zeros(len(ids), dtype=np.int64)},
        label_names={"class": [UNLABELLED]},
        fits=Fits([0], np.ones((1, len(ids)), dtype=bool), len(files)),
        read=read,
        grids={"--base": [base.resolution] * 2} if base.resolution and meaning.spec["in_features"] == 2 else {},
        lists={file.name: sha256(file) for file in files},
        numbers={PSNR: psnr_N.astype(np.float64)} if np.isfinite(psnr_N).any() else {},
    )


def _content(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_BYTES:
        raise InrzooError(f"{path} has {path.stat().st_size} bytes; the maximum is {MOST_BYTES}")
    return read_arrays(path.read_bytes(), str(path))


def _modulations(path: Path) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return (latent vectors (N, M), PSNRs (N,)) of each part."""
    table = _content(path)
    if "params" in table:
        raise InrzooError(f"{path} has functa's shared weights: pass it with --base, and import the modulations")
    parts = {}
    for name in SPLITS:
        if name not in table:
            continue
        part = table[name] if isinstance(table[name], dict) else {}
        latents, psnr = part.get("modulation"), part.get("psnr")
        if not isinstance(latents, np.ndarray) or latents.ndim != 2 or not latents.size or latents.dtype.kind != "f":
            raise InrzooError(f"{path}: {name} has no array `modulation` of one row a signal")
        if not isinstance(psnr, np.ndarray) or psnr.shape != (len(latents),) or psnr.dtype.kind != "f":
            psnr = np.full(len(latents), np.nan)
        parts[name] = (latents.astype(np.float64), psnr.astype(np.float64))
    if not parts:
        raise InrzooError(f"{path} has no modulations: expected tables train and test with arrays modulation and psnr")
    return parts


def base_of(path: Path) -> Base:
    """Read the shared weights.

    Raises:
        InrzooError: the file is absent or damaged, or holds no network as functa's.
    """
    if not path.is_file():
        raise InrzooError(f"no file {path}, which --base names")
    table = _content(path)
    params, config = table.get("params"), table.get("config")
    model = config.get("model") if isinstance(config, dict) else None
    if not isinstance(params, dict) or not isinstance(model, dict):
        raise InrzooError(f"{path} has no tables params and config, as functa's shared weights have")
    if model.get("type") != "latent_modulated_siren":
        raise InrzooError(f"{path} has a {str(model.get('type'))[:40]}; expected latent_modulated_siren")
    layers, modulator = _layers(params, _LAYER, path), _layers(params, _MODULATOR, path)
    scales, shifts = bool(model.get("modulate_scale")), bool(model.get("modulate_shift"))
    omega_0 = model.get("w0")
    if not isinstance(omega_0, int | float) or isinstance(omega_0, bool):
        raise InrzooError(f"{path}: its config has no number model.w0")
    sizes = [layers[0][0].shape[0], *(len(bias) for _, bias in layers)]
    chain = [matrix.shape for matrix, _ in layers]
    if chain != list(pairwise(sizes)) or len({*sizes[1:-1]}) != 1 or len(layers) < 2:
        raise InrzooError(f"{path}: its layers are no SIREN with equally wide hidden layers: {chain}")
    widths = [modulator[0][0].shape[0], *(len(bias) for _, bias in modulator)]
    outputs = (len(layers) - 1) * sizes[1] * (int(scales) + int(shifts))
    if [matrix.shape for matrix, _ in modulator] != list(pairwise(widths)):
        raise InrzooError(f"{path}: its network from latents to modulations has layers that do not follow each other")
    if widths[-1] != outputs or not outputs:
        raise InrzooError(f"{path}: its modulations are {widths[-1]} numbers, its layers take {outputs}")
    dataset = config.get("dataset") if isinstance(config, dict) else None
    resolution = dataset.get("resolution") if isinstance(dataset, dict) else None
    return Base(
        weights=[matrix.T for matrix, _ in layers],
        biases=[bias for _, bias in layers],
        modulator=modulator,
        omega_0=float(omega_0),
        scales=scales,
        shifts=shifts,
        latent_dim=widths[0],
        resolution=resolution if isinstance(resolution, int) and 0 < resolution < 2**16 else None,
    )


def _layers(
    params: Mapping[Any, Any], name: re.Pattern[str], path: Path
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the matrix (in, out) and the bias of each layer whose module has such a name, by its number."""
    found: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for module, tensors in params.items():
        match = name.fullmatch(module) if isinstance(module, str) else None
        if match is None:
            continue
        arrays = [tensors.get(key) if isinstance(tensors, dict) else None for key in ("w", "b")]
        matrix, bias = (array if isinstance(array, np.ndarray) else np.empty(0, dtype=int) for array in arrays)
        if matrix.ndim != 2 or bias.ndim != 1 or not matrix.dtype.kind == bias.dtype.kind == "f":
            raise InrzooError(f"{path}: {module} has no arrays w and b")
        found[int(match["layer"] or 0)] = (matrix.astype(np.float64), bias.astype(np.float64))
    if not found or sorted(found) != list(range(len(found))):
        kind = "SIREN" if name is _LAYER else "map from latents to modulations"
        raise InrzooError(f"{path} has no layers of a {kind}, or not all of them")
    return [found[number] for number in range(len(found))]
