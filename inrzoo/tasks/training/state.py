"""States of modules and optimisers as tensors by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError


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


def optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and step counts of all parameters, under `PARAMETER NUMBER.NAME`."""
    state = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, values in state.items() for name, value in values.items()}


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load what `optimiser_state` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def plain(content: Any) -> Any:
    """The content as JSON returns it: tuples become lists."""
    return json.loads(json.dumps(content))
