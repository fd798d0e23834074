"""States of modules as tensors by name, and tables of tasks in checkpoints."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from inrzoo import registry
from inrzoo.checkpoint import Checkpoint, hypernet_table
from inrzoo.errors import InrzooError

OLDER_FIELDS = (
    "rotate", "translate", "scale", "shear", "flip", "gain", "offset", "signs", "permute", "noise", "dropout",
    "quantile_dropout",
)  # fmt: skip
"""Fields of tasks on weights in older checkpoints, one or two for each transform."""

NEWER_FIELDS: dict[str, Any] = {
    "augment": [],
    "coord_noise": 0.0,
    "train_seeds": 0,
    "pretrained": None,
    "frozen": False,
    "precision": "float32",
    "lr_decay": 0.1,
    "lr_steps": [],
    "lr_patience": 10,
    "devices": 1,
    "accumulate": 1,
    "optimiser": "adamw",
}
"""Fields that checkpoints of before they existed lack, with the values that say what was done then."""


def task_table(checkpoint: Checkpoint) -> dict[str, Any]:
    """Name and fields of the task in a checkpoint.

    Fields that came later have their defaults, which are what was done before. A checkpoint without `augment` of a task
    on weights had a field for each transform.
    """
    known = {field.name for field in dataclasses.fields(registry.find("tasks", checkpoint.task["name"]))}
    table = {**{key: value for key, value in NEWER_FIELDS.items() if key in known}, **checkpoint.task}
    if "hypernet" in table:
        table["hypernet"] = hypernet_table(checkpoint.task, checkpoint.conventions)
    if "quantile_dropout" not in table:
        return table
    strengths = {key: table.pop(key) for key in OLDER_FIELDS}
    forms = {
        "scale": strengths["scale"] and {"low": 1 - strengths["scale"], "high": 1 + strengths["scale"]},
        "shear": strengths["shear"] and {"slope": strengths["shear"]},
        "rotate": strengths["rotate"] and {"degrees": strengths["rotate"]},
        "flip": strengths["flip"] and {"probability": strengths["flip"]},
        "translate": strengths["translate"] and {"distance": strengths["translate"]},
        "intensity": (strengths["gain"] or strengths["offset"])
        and {"gain": strengths["gain"], "offset": strengths["offset"]},
        "sign_phase": strengths["signs"] and {"half_turns": 1},
        "permute_neurons": strengths["permute"] and {"name": "permute_neurons"},
        "noise": strengths["noise"] and {"std": strengths["noise"]},
        "dropout": strengths["dropout"] and {"p": strengths["dropout"]},
        "quantile_dropout": strengths["quantile_dropout"] and {"p": strengths["quantile_dropout"]},
    }
    table["augment"] = [{"name": name, **_without_defaults(name, form)} for name, form in forms.items() if form]
    return table


def _without_defaults(name: str, form: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that differ from the transform's defaults: tables of older default fields equal the default tables."""
    defaults = {field.name: field.default for field in dataclasses.fields(registry.find("transforms", name))}
    return {key: value for key, value in form.items() if key != "name" and value != defaults[key]}


def load_module(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """`module.load_state_dict` with a one-line error.

    Raises:
        InrzooError: the network lacks a tensor, has another one, or has it in another shape.
    """
    try:
        module.load_state_dict(state)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InrzooError(f"the checkpoint's tensors are not those of its own network: {reason}") from None


def part_of(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors of a submodule by their names in it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def plain(content: Any) -> Any:
    """The content as JSON returns it: tuples become lists."""
    return json.loads(json.dumps(content))
