"""Checkpoints: one .safetensors file each, whole or absent; nothing in it can be executed.

Tensors lie under `module.`, `optimiser.` and `random.`; the file's metadata hold one JSON text: the task with its
fields, the conventions of the store it was trained on, how far it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.store.files import write_atomically
from inrzoo.typecheck import check_type

KEY = "inrzoo"
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
"""What stands in the metadata, and what every task relies on there."""
BEST, LAST = "best.safetensors", "last.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What is written.

    Attributes:
        task: name and fields.
        conventions: of the store, as `Task.conventions` says them.
        identity: of the training data, as `Learner.identity` says it.
        progress: step, best score and what else the loop needs to go on.
        module: state of the network.
        optimiser, random: what only continuing needs.
    """

    task: dict[str, Any]
    conventions: dict[str, Any]
    identity: dict[str, Any]
    progress: dict[str, Any]
    module: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor] = field(default_factory=dict)
    random: Mapping[str, Tensor] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write to `path`, replacing what was there in one step."""
        tensors = {
            f"{kind}.{name}": tensor.detach().cpu().contiguous().clone()
            for kind in ("module", "optimiser", "random")
            for name, tensor in getattr(self, kind).items()
        }
        words = {name: getattr(self, name) for name in ("task", "conventions", "identity", "progress")}
        write_atomically(path, save(tensors, {KEY: json.dumps(words)}))


def read(path: Path) -> Checkpoint:
    """Read a checkpoint; a run folder stands for its best one.

    Raises:
        InrzooError: no checkpoint there, or a file that is something else.
    """
    file = path / BEST if path.is_dir() else path
    if not file.is_file():
        raise InrzooError(f"no checkpoint at {file}; `inrzoo train TASK STORE --out {path}` makes one")
    try:
        with safe_open(file, framework="pt") as content:
            words = json.loads((content.metadata() or {})[KEY])
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - no dict
        parts: dict[str, dict[str, Tensor]] = {"module": {}, "optimiser": {}, "random": {}}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            parts[kind][rest] = tensor
        if words.keys() != TABLES.keys():
            raise ValueError(f"it holds {', '.join(sorted(words))}; expected {', '.join(sorted(TABLES))}")
        for name, keys in TABLES.items():
            for key, kind in {"": dict[str, Any], **keys}.items():
                check_type(f"{name}.{key}".strip("."), words[name][key] if key else words[name], kind)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InrzooError(f"{file} is no checkpoint of inrzoo: {' '.join(str(error).split())[:300]}") from None
    return Checkpoint(**words, **parts)


def load_module(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """`module.load_state_dict`, its complaints in one line.

    Raises:
        InrzooError: tensors that the network does not have, lacks, or has in other shapes.
    """
    try:
        module.load_state_dict(state)
    except (RuntimeError, AttributeError, TypeError) as error:
        what = " ".join(str(error).split())[:300]
        raise InrzooError(f"the checkpoint's tensors are not those of its own network: {what}") from None


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and step counts of all parameters, by number of the parameter and name."""
    state = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, values in state.items() for name, value in values.items()}


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Inverse of `optimiser_state`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`key: ours → theirs` for all that differs in two JSON tables."""
    lines = []
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        a, b = ours.get(key, "absent"), theirs.get(key, "absent")
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += differences(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {a} → {b}")
    return lines


def plain(content: Any) -> Any:
    """As it comes back from JSON: tuples are lists."""
    return json.loads(json.dumps(content))
