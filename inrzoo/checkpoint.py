"""The file of a trained network: one .safetensors file, whole or absent; nothing in it can be executed.

Tensors lie under `module.`, `optimiser.` and `random.`. The file's metadata hold one JSON text: the task with its
fields, the conventions of the data it was trained on, and the progress of the run. Tasks write and continue such files;
`inrzoo build --fitter` copies the network of one into a store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrzoo.errors import InrzooError
from inrzoo.store.files import write_atomically
from inrzoo.typecheck import check_type

if TYPE_CHECKING:
    from torch import Tensor

KEY = "inrzoo"
"""Key of the JSON text in the metadata of the file."""
TABLES: dict[str, dict[str, Any]] = {
    "task": {"name": str},
    "conventions": {},
    "identity": {},
    "progress": {
        "step": int,
        "best_step": int,
        "score": float | None,
        "waited": int,
        "sums": dict[str, Any],
        "finished": bool,
    },
}
"""Tables of the JSON text, and the types of the keys that every task relies on."""
NETWORK_TABLES = ("task", "conventions", "identity")
"""Tables that `Checkpoint.network` keeps: how the network was trained, what its INRs mean, and on which data."""
KINDS = ("module", "optimiser", "random")
"""Prefixes of the tensors' names."""
WITH_ROW_NORMS = ("cavia", "instance_patterns", "trans_inr")
"""Hypernetworks that have the field `row_norm`."""
BEST, LAST = "best.safetensors", "last.safetensors"
"""File names, in the folder of a run, of the checkpoint with the best validation score and of the latest one."""


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint.

    Attributes:
        task: name and fields of the task.
        conventions: of the data, as `Task.conventions` returns them.
        identity: of the training data, as `Learner.identity` states it.
        progress: step, best score and everything else that the loop needs to continue.
        module: state of the network.
        optimiser: state of the optimiser; empty where the run is not to be continued.
        random: states of the random generators, by kind of device; empty where the run is not to be continued.
    """

    task: dict[str, Any]
    conventions: dict[str, Any]
    identity: dict[str, Any]
    progress: dict[str, Any]
    module: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor] = field(default_factory=dict)
    random: Mapping[str, Tensor] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write to `path`, replacing an older file in one step."""
        from safetensors.torch import save

        tensors = {
            f"{kind}.{name}": tensor.detach().cpu().contiguous().clone()
            for kind in KINDS
            for name, tensor in getattr(self, kind).items()
        }
        tables = {name: getattr(self, name) for name in TABLES}
        write_atomically(path, save(tensors, {KEY: json.dumps(tables)}))

    def network(self) -> bytes:
        """The content of a file that holds the network and `NETWORK_TABLES` alone; equal networks give equal bytes."""
        from safetensors.torch import save

        tensors = {f"module.{name}": tensor for name, tensor in sorted(self.module.items())}
        tables = {name: getattr(self, name) for name in NETWORK_TABLES}
        return save(tensors, {KEY: json.dumps(tables, sort_keys=True)})


def read(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: the file, or the folder of a run for its best checkpoint.

    Raises:
        InrzooError: there is no checkpoint, or the file is something else.
    """
    from safetensors import SafetensorError, safe_open

    file = path / BEST if path.is_dir() else path
    if not file.is_file():
        raise InrzooError(f"no checkpoint at {file}; `inrzoo train TASK STORE --out {path}` makes one")
    try:
        with safe_open(file, framework="pt") as content:
            tables = json.loads((content.metadata() or {})[KEY])
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - no dict
        parts: dict[str, dict[str, Tensor]] = {kind: {} for kind in KINDS}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            parts[kind][rest] = tensor
        if tables.keys() != TABLES.keys():
            raise ValueError(f"it holds {', '.join(sorted(tables))}; expected {', '.join(sorted(TABLES))}")
        for name, keys in TABLES.items():
            for key, hint in {"": dict[str, Any], **keys}.items():
                check_type(f"{name}.{key}".strip("."), tables[name][key] if key else tables[name], hint)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InrzooError(f"{file} is not a checkpoint of inrzoo: {' '.join(str(error).split())[:300]}") from None
    return Checkpoint(**tables, **parts)


def network_tables(content: bytes) -> dict[str, Any]:
    """The `NETWORK_TABLES` of what `Checkpoint.network` returned."""
    length = int.from_bytes(content[:8], "little")
    tables: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])
    return tables


def hypernet_table(task: Mapping[str, Any], conventions: Mapping[str, Any]) -> dict[str, Any]:
    """Name and arguments of the hypernetwork of a checkpoint, with the defaults that it was trained with.

    Before tasks had the field `optimiser`, `grouping` of `trans_inr` was `block` by default, now `tile`; and
    `row_norm = "auto"` gave rows of one number a norm, too, as "unit" does for ReLU MLPs and "init" for all others.

    Args:
        task, conventions: as the checkpoint records them.
    """
    table: dict[str, Any] = task["hypernet"]
    name, is_older = table.get("name"), "optimiser" not in task
    if is_older and name == "trans_inr":
        table = {"grouping": "block", **table}
    inr = conventions["inr"]
    has_rows_of_one = inr["in_features"] == 1 and inr.get("encoding", "none") == "none"
    if is_older and has_rows_of_one and name in WITH_ROW_NORMS and table.get("row_norm", "auto") == "auto":
        table = {**table, "row_norm": "unit" if inr["name"] == "relu_mlp" else "init"}
    return table


def network_state(content: bytes) -> dict[str, Tensor]:
    """The state of the network in what `Checkpoint.network` returned."""
    from safetensors.torch import load

    return {name.removeprefix("module."): tensor for name, tensor in load(content).items()}
