"""Reads the base that all INRs of a new store will share, from a run, a checkpoint or a store.

Shape letters: Q numbers of a base.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from inrzoo import bases, manifest, registry
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.manifest import Coords, Manifest, Values
from inrzoo.store import Location, open_store

TENSOR = "base"
"""Name, in the state of a hypernetwork that learns a base, of its numbers, (Q,)."""


@dataclass(frozen=True)
class Base:
    """The INRs with a base, which this process remembers, and the signals that it was trained on.

    Attributes:
        inr: table of the INR: `name` and all fields but those that the signals decide, `base` among them.
        coords: table `coords` of the signals.
        value_range: of the signals.
    """

    inr: dict[str, Any]
    coords: Coords
    value_range: tuple[float, float]

    def apply_to(self, settings: Manifest) -> Manifest:
        """Return the manifest with these INRs, and the grid and value range that their base was trained on."""
        values = Values(range=self.value_range) if settings.values.range != self.value_range else settings.values
        return replace(settings, inr=self.inr, coords=self.coords, values=values).filled()


def read_base(path: Path) -> Base:
    """Read a base and remember it.

    Args:
        path: the folder of a run of `functa`, a checkpoint of it, or a store whose INRs share a base.

    Raises:
        InrzooError: `path` is none of these.
    """
    if (path / "zarr.json").is_file():
        store = open_store(path)
        if store.info.base_layout is None:
            raise InrzooError(f"--base {path} is a store of INRs that share no base")
        recorded, spec = store.info.manifest, {"name": store.info.inr["name"], **asdict(store.inr)}
        return Base(without_runtime(spec), recorded.coords, recorded.values.range)
    checkpoint = read(path)
    table = with_base(checkpoint.conventions.get("inr", {}), checkpoint.module)
    if table is None:
        name = checkpoint.task.get("hypernet", {}).get("name", checkpoint.task["name"])
        raise InrzooError(f"--base {path} is a checkpoint of {name}, which learns no base; functa does")
    means = checkpoint.conventions
    low, high = means["values"]["range"]
    return Base(table, Coords(**means["coords"]), (low, high))


def with_base(inr: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the table of the INRs of a network that learns their base, which is then remembered; None for others.

    Args:
        inr: table of the INRs that the network was trained to make.
        state: state of the network.

    Raises:
        InrzooError: the base has another size than the INRs'.
    """
    if TENSOR not in state or not inr:
        return None
    made: INR = registry.make("inrs", inr)
    if made.base_layout is None:
        return None
    numbers_Q = state[TENSOR].detach().cpu().float().numpy()
    if numbers_Q.shape != (made.base_layout.num_params,):
        raise InrzooError(
            f"the base of the checkpoint has shape {list(numbers_Q.shape)}, its INRs need {made.base_layout.num_params}"
        )
    return {**without_runtime(inr), "base": bases.remember(numbers_Q)}


def recall_base(settings: Manifest, out: Location) -> None:
    """Remember the base that the INRs of a manifest name, if the store that is continued at `out` has it."""
    name = settings.inr.get("base")
    if name is not None and not bases.is_known(name) and (out / "zarr.json").is_file():
        _ = open_store(out).inr  # remembers its base


def without_runtime(inr: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of an INR without the fields that the signals decide."""
    return {key: value for key, value in inr.items() if key not in manifest.RUNTIME_FIELDS}
