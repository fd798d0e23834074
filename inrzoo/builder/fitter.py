"""A trained hypernetwork as the start of every fit. It travels inside the store, so that workers, repairs and re-fits
find it there.

Shape letters: B signals, P parameters, K coordinates, C channels.
"""

import functools
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inrzoo import coords, manifest, registry
from inrzoo.errors import InrzooError
from inrzoo.fit.batches import batch_size
from inrzoo.fit.values import to_values
from inrzoo.inrs import INR
from inrzoo.manifest import Coords, FitSettings, Init, Manifest, Values
from inrzoo.sources import Signals
from inrzoo.store import Store, open_store

KEY, MODULE, BEST = "inrzoo", "module.", "best.safetensors"
"""The key of a checkpoint's metadata, the prefix of its network's tensors, and the best checkpoint's file in a run."""
METADATA = ("task", "conventions", "identity")
"""Keys of a checkpoint's metadata that are kept: how it was trained, what its INRs mean, and its dataset."""


@dataclass(frozen=True)
class Fitter:
    """A hypernetwork without what only training needs.

    Attributes:
        content: a .safetensors file: the network's tensors, and `metadata` as JSON.
        metadata: `task`, `conventions` and `identity` of the checkpoint.
    """

    content: bytes
    metadata: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Of the content (hex): of configuration and tensors."""
        return hashlib.sha256(self.content).hexdigest()

    def of(self, wanted: Manifest, tto: int) -> Manifest:
        """A manifest whose INRs this network makes: architecture, grid and value range are those it was trained with.

        Args:
            tto: steps of Adam that follow, to the last: none stops early.

        Raises:
            InrzooError: more than one seed, steps below 0, or a view beyond them.
        """
        if tto < 0:
            raise InrzooError(f"--tto = {tto} is not allowed; it must be at least 0")
        means = self.metadata["conventions"]
        inr = {key: value for key, value in means["inr"].items() if key not in manifest.RUNTIME_FIELDS}
        engine = "reference" if tto == 0 else wanted.fit.engine  # nothing is fitted: any engine would do, this one can
        fit = replace(wanted.fit, steps=tto, stop_psnr=None, engine=engine)
        return replace(
            wanted,
            inr=inr,
            coords=Coords(**means["coords"]),
            values=Values(range=tuple(means["values"]["range"])),
            init=Init(mode="hypernet", sha256=self.sha256),
            fit=fit,
        ).filled()

    def require(self, signals: Signals, name: str) -> None:
        """Raise InrzooError unless signals are such as the network was trained on."""
        means = self.metadata["conventions"]
        there = (list(signals.grid), signals.channels)
        known = (means["grid"], means["inr"]["out_features"])
        if there != known:
            raise InrzooError(
                f"--fitter was trained on signals of grid {known[0]} with {known[1]} channel(s); "
                f"those of {name} have grid {there[0]} and {there[1]}"
            )


def read_fitter(path: Path) -> Fitter:
    """Read a hypernetwork.

    Args:
        path: a checkpoint, the folder of a run for its best one, or a store that was built with one.

    Raises:
        InrzooError: none of these, or a checkpoint of a task that makes no INRs.
    """
    if (path / "zarr.json").is_file():
        content = open_store(path).fitter
        if content is None:
            raise InrzooError(f"{path} was not built with --fitter and holds no hypernetwork")
        return Fitter(content, _metadata(content))
    file = path / BEST if path.is_dir() else path
    if not file.is_file():
        raise InrzooError(f"no checkpoint at {file}; `inrzoo train hypernetwork DATASET --out {path}` makes one")
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save

    try:
        with safe_open(file, framework="pt") as opened:
            metadata = json.loads((opened.metadata() or {})[KEY])
            names = sorted(name for name in opened.keys() if name.startswith(MODULE))  # noqa: SIM118 - no dict
            tensors = {name: opened.get_tensor(name) for name in names}
        kept = {key: metadata[key] for key in METADATA}
    except (SafetensorError, KeyError, ValueError) as error:
        raise InrzooError(f"{file} is no checkpoint of inrzoo: {error}") from None
    if "hypernet" not in kept["task"]:
        raise InrzooError(f"{file} is a checkpoint of the task {kept['task'].get('name')}, which makes no INRs")
    return Fitter(save(tensors, {KEY: json.dumps(kept, sort_keys=True)}), kept)


def _metadata(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    found: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])
    return found


def made(store: Store, signals_BKC: NDArray[np.uint8], device: str) -> NDArray[np.float32]:
    """Weights that the store's hypernetwork gives signals, (B, P): in the batches of a fit, from the first one on."""
    assert store.fitter is not None, "a store of this kind has one"
    return weights_of(store.fitter, store.inr, store.settings, store.info.grid, signals_BKC, device)


def weights_of(
    content: bytes, inr: INR, settings: FitSettings, grid: tuple[int, ...], signals_BKC: NDArray[np.uint8], device: str
) -> NDArray[np.float32]:
    """What a network (its `Fitter.content`) makes of signals: weights of `inr`, (B, P)."""
    network = _loaded(content, device, inr, grid)
    coords_KD = torch.from_numpy(coords.grid(grid, settings.coords.spacing, settings.coords.axis_order)).to(device)
    values_BKC = to_values(signals_BKC, settings.values.range).to(device)
    with torch.no_grad():
        parts = [network(coords_KD, part) for part in values_BKC.split(batch_size(inr, len(coords_KD), device))]
    weights: NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
    return weights


@functools.lru_cache(maxsize=1)
def _loaded(content: bytes, device: str, inr: INR, grid: tuple[int, ...]) -> torch.nn.Module:
    from safetensors.torch import load

    tensors = {name.removeprefix(MODULE): tensor for name, tensor in load(content).items()}
    spec = _metadata(content)["task"]["hypernet"]
    runtime: dict[str, Any] = {"inr": inr, "sizes": grid}
    if spec["name"] == "end_to_end":
        runtime["num_classes"] = len(tensors["classifier.1.bias"])
    network: torch.nn.Module = registry.make("hypernets", spec, **runtime)
    network.load_state_dict(tensors)
    return network.to(device).eval()
