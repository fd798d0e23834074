"""A trained hypernetwork that makes the initial weights of every fit. The store contains it, for workers, repairs and
re-fits.

Shape letters: B signals, P parameters, K coordinates, C channels.
"""

import functools
import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inrzoo import registry
from inrzoo.builder.base import with_base, without_runtime
from inrzoo.checkpoint import hypernet_table, network_state, network_tables, read
from inrzoo.errors import InrzooError
from inrzoo.fit.batches import batch_size
from inrzoo.hypernets import Hypernet
from inrzoo.inrs import INR
from inrzoo.manifest import Coords, FitSettings, Init, Manifest, Values
from inrzoo.manifest.settings import GRID
from inrzoo.observations import Observation
from inrzoo.sources import Signals
from inrzoo.store import Store, open_store
from inrzoo.targets import Targets


@dataclass(frozen=True)
class Fitter:
    """A hypernetwork without the state of its training.

    Attributes:
        content: content of a .safetensors file, as `Checkpoint.network` returns it.
        metadata: `task`, `conventions` and `identity` of the checkpoint.
    """

    content: bytes
    metadata: dict[str, Any]

    @property
    def sha256(self) -> str:
        """The sha256 (hex) of the content, which has configuration and tensors."""
        return hashlib.sha256(self.content).hexdigest()

    def apply_to(self, settings: Manifest, tto: int) -> Manifest:
        """Return the manifest with the architecture, coordinates, value scale and observation of this network.

        Args:
            settings: the manifest.
            tto: steps of Adam after the network, without early stopping.

        Raises:
            InrzooError: there is more than one seed, `tto` is negative, or a view is beyond it.
        """
        if tto < 0:
            raise InrzooError(f"--tto {tto} is not allowed; it must be at least 0")
        means = self.metadata["conventions"]
        inr = with_base(means["inr"], network_state(self.content)) or without_runtime(means["inr"])
        engine = "reference" if tto == 0 else settings.fit.engine  # supports every INR
        schedule: Any = {"schedule": "constant", "warm_up": 0} if tto == 0 else {}  # no steps, no schedule of them
        fit = replace(settings.fit, steps=tto, stop_psnr=None, engine=engine, **schedule)
        scale: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in means["values"].items()
        }
        return replace(
            settings,
            inr=inr,
            coords=Coords(**means["coords"]),
            values=replace(Values() if scale.keys() - {"range"} else settings.values, **scale),
            observation=means.get("observation", settings.observation),
            init=Init(mode="hypernet", sha256=self.sha256),
            fit=fit,
        ).filled()

    def require(self, signals: Signals, name: str) -> None:
        """Raise InrzooError unless signals have the grid and channels of the training; points may be more or fewer."""
        means = self.metadata["conventions"]
        observation: Observation = registry.make("observations", means.get("observation", GRID))
        if {*observation.arrays} != {*signals.arrays}:
            needed, has = (", ".join(sorted(names)) or "none" for names in (observation.arrays, signals.arrays))
            raise InrzooError(
                f"--fitter was trained on signals with the further arrays {needed}; those of {name} have {has}"
            )
        grid, num_support = tuple(signals.grid), num_support_views(self.metadata)
        if num_support is not None and num_support > grid[0]:
            raise InrzooError(f"--fitter reads {num_support} support views; the objects of {name} have {grid[0]} views")
        actual = (list(grid if num_support is None else observation.picture_sizes(grid)), signals.channels)
        known = (means["grid"], means["inr"]["out_features"] - observation.extra_outputs)
        if (actual if observation.on_grid else actual[1:]) != (known if observation.on_grid else known[1:]):
            raise InrzooError(
                f"--fitter was trained on signals of grid {known[0]} with {known[1]} channel(s); "
                f"those of {name} have grid {actual[0]} and {actual[1]}"
            )


def num_support_views(metadata: dict[str, Any]) -> int | None:
    """Number of support views of a network of the task `novel_views`: the first of each object, as many as it has seen
    at most in training. None for a network that reads whole signals.
    """
    numbers: list[int] | None = metadata["task"].get("support_views")
    return None if numbers is None else max(numbers)


def read_fitter(path: Path) -> Fitter:
    """Read a hypernetwork.

    Args:
        path: a checkpoint, the folder of a run for its best one, or a store that was built with one.

    Raises:
        InrzooError: `path` is none of these, or the checkpoint is of a task that makes no INRs.
    """
    if (path / "zarr.json").is_file():
        content = open_store(path).fitter
        if content is None:
            raise InrzooError(f"{path} was not built with --fitter and holds no hypernetwork")
        return Fitter(content, network_tables(content))
    checkpoint = read(path)
    if "hypernet" not in checkpoint.task:
        raise InrzooError(f"{path} is a checkpoint of the task {checkpoint.task['name']}, which makes no INRs")
    content = checkpoint.network()
    return Fitter(content, network_tables(content))


def network_starts(store: Store, targets: Targets, device: str) -> NDArray[np.float32]:
    """Return the weights, (B, P), that the store's hypernetwork makes of signals, in the batches of a fit."""
    assert store.fitter is not None, "init mode hypernet has one"
    return weights_of(store.fitter, store.inr, store.info.grid, store.settings, targets, device)


def weights_of(
    content: bytes, inr: INR, grid: tuple[int, ...], settings: FitSettings, targets: Targets, device: str
) -> NDArray[np.float32]:
    """Return the weights of `inr`, (B, P), that a network (its `Fitter.content`) makes of signals.

    Args:
        content, inr, grid: the network, what it makes, and the grid of the signals.
        settings: how INRs are compared with the signals.
        targets: of the B signals.
        device: of the network.
    """
    observation: Observation = registry.make("observations", settings.observation)
    network = _loaded(content, device, inr, grid, observation)
    observer = observation.observer(extent=settings.coords.extent, value_range=settings.values.range)
    network.compare_by(observer, observation.loss_name)
    num_support = num_support_views(network_tables(content))
    seen = slice(num_support and num_support * math.prod(observation.picture_sizes(grid)))
    given = (targets.coords[..., seen, :], targets.values_BKC[:, seen])
    size = batch_size(inr, given[0].shape[-2], device, observation.evaluations)
    where, values_BKC = (torch.from_numpy(array).to(device) for array in given)
    parts = []
    with torch.no_grad():
        for first in range(0, len(values_BKC), size):
            rows = slice(first, first + size)
            parts.append(network(where if targets.shared_coords else where[rows], values_BKC[rows]))
    weights: NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
    return weights


@functools.lru_cache(maxsize=1)
def _loaded(content: bytes, device: str, inr: INR, grid: tuple[int, ...], observation: Observation) -> Hypernet:
    tensors = network_state(content)
    tables = network_tables(content)
    spec, sizes = hypernet_table(tables["task"], tables["conventions"]), observation.picture_sizes(grid)
    runtime: dict[str, Any] = {"inr": inr, "sizes": sizes, "views": sizes != grid}
    if spec["name"] == "end_to_end":
        runtime["num_classes"] = len(tensors["classifier.1.bias"])
    network: Hypernet = registry.make("hypernets", spec, **runtime)
    network.load_state_dict(tensors)
    return network.to(device).eval()
