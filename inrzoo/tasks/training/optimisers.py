"""The optimisers of a run: AdamW for all parameters, or Muon for the matrices of layers and AdamW for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from inrzoo.errors import InrzooError
from inrzoo.tasks.contract import Task


class Optimisers:
    """What changes the parameters of a run: one optimiser, or two that share them.

    Muon (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; here torch's) turns the
    momentum of a matrix into the orthogonal matrix nearest to it. Its step is scaled to the root mean square of Adam's
    (Liu et al. 2025, "Muon is scalable for LLM training", Sec. 2.2), so that both have the learning rate and the
    weight decay of the task. Tokens, positions, biases and gains are no maps between features: AdamW changes them.

    Args:
        task: with `optimiser`, `lr` and `weight_decay`.
        groups: as `Learner.parameter_groups` returns them; their `lr_factor` holds for both optimisers.
        matrices: as `layer_matrices` returns them.

    Raises:
        InrzooError: torch has no Muon, or there is no matrix for it.
    """

    def __init__(self, task: Task, groups: Sequence[dict[str, Any]], matrices: Sequence[Tensor]) -> None:
        self._each: list[Optimizer] = []
        chosen = set(map(id, matrices)) if task.optimiser == "muon" else set()
        options: dict[str, Any] = {"lr": task.lr, "weight_decay": task.weight_decay}
        if turned := _share(groups, chosen, inside=True):
            if not hasattr(torch.optim, "Muon"):
                raise InrzooError(f"optimiser = 'muon' needs torch 2.9 or later, and this is {torch.__version__}")
            muon = torch.optim.Muon(turned, adjust_lr_fn="match_rms_adamw", **options)
            self._each.append(muon)
        elif task.optimiser == "muon":
            raise InrzooError("optimiser = 'muon' is for the matrices of linear layers; this network trains none")
        if others := _share(groups, chosen, inside=False):
            self._each.append(torch.optim.AdamW(others, **options))

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The groups of all optimisers, whose `lr` the next step has."""
        return [group for each in self._each for group in each.param_groups]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for each in self._each:
            each.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Change all parameters."""
        for each in self._each:
            each.step()

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts of all parameters, under `PARAMETER NUMBER.NAME`."""
        tensors: dict[str, Tensor] = {}
        for first, each in self._numbered():
            for number, values in each.state_dict()["state"].items():
                tensors |= {f"{first + number}.{name}": value for name, value in values.items()}
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Load what `state` returned."""
        states: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            number, _, name = key.partition(".")
            states.setdefault(int(number), {})[name] = tensor
        for first, each in self._numbered():
            own = {number - first: state for number, state in states.items() if 0 <= number - first < _count(each)}
            each.load_state_dict({"state": own, "param_groups": each.state_dict()["param_groups"]})

    def _numbered(self) -> list[tuple[int, Optimizer]]:
        """Each optimiser with the number of its first parameter."""
        firsts = [sum(map(_count, self._each[:place])) for place in range(len(self._each))]
        return list(zip(firsts, self._each, strict=True))


def layer_matrices(module: nn.Module) -> list[Tensor]:
    """Matrices that map features to features: weights of `nn.Linear`, and what modules list themselves.

    A module whose parameters hold such matrices otherwise lists them in its attribute `layer_matrices`.
    """
    found: list[Tensor] = []
    for each in module.modules():
        if isinstance(each, nn.Linear):
            found.append(each.weight)
        found += getattr(each, "layer_matrices", [])
    return found


def _share(groups: Sequence[dict[str, Any]], chosen: set[int], *, inside: bool) -> list[dict[str, Any]]:
    """The groups with those of their parameters alone that are chosen, or with the others; no empty ones."""
    shares = [
        {**group, "params": [each for each in group["params"] if (id(each) in chosen) == inside]} for group in groups
    ]
    return [share for share in shares if share["params"]]


def _count(optimiser: Optimizer) -> int:
    """Number of its parameters."""
    return sum(len(group["params"]) for group in optimiser.param_groups)
