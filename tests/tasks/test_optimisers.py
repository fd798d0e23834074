"""Muon turns the matrices of layers, AdamW changes everything else, and a run goes on to the bit."""

import pytest
import torch
from torch import nn

from inrzoo import registry, tasks
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.training.optimisers import Optimisers, layer_matrices

RELU = {"name": "relu_mlp", "hidden_features": 16, "hidden_layers": 1}
TRANSFORMER = {"patch": 4, "features": 16, "num_layers": 1, "num_heads": 2, "mlp_features": 16, "dropout": 0.0}
HYPERNETS = {
    "instance_patterns": {**TRANSFORMER, "rank": 8},
    "trans_inr": {**TRANSFORMER, "groups": 8},
    "learned_init": {"inner_lr": 0.05},
}
MUON = Classify(optimiser="muon", lr=0.01)

needs_muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon; 2.9 and later do")


def make(name: str, **fields: object) -> tasks.Task:
    spec = {"hypernet": {"name": name, **HYPERNETS[name]}, "inr": RELU, "steps": 12, "validate_every": 6, "lr": 5e-3}
    task: tasks.Task = registry.make(
        "tasks", {"name": "hypernetwork", **spec, "batch": 4, "optimiser": "muon", **fields}
    )
    return task


def group(module: nn.Module, **options: float) -> dict[str, object]:
    return {"params": list(module.parameters()), "lr_factor": 1.0, **options}


@needs_muon
@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (24, 6), (6, 24)])
def test_a_step_of_muon_is_orthogonal_and_as_long_as_one_of_adam(rows: int, columns: int) -> None:
    """A step of Adam changes each number by about lr; torch's Muon aims at 0.2 of that, as in the paper, Sec. 2.2."""
    layer = nn.Linear(columns, rows)
    optimisers = Optimisers(MUON, [group(layer)], layer_matrices(layer))
    before = {name: each.detach().clone() for name, each in layer.named_parameters()}
    layer(torch.randn(64, columns)).square().mean().backward()
    optimisers.step()
    change = (layer.weight - before["weight"]).detach() / MUON.lr
    singular = torch.linalg.svdvals(change)
    # Five Newton-Schulz steps bring singular values to 1 within about 30 %.
    assert float(singular.min() / (0.2 * max(rows, columns) ** 0.5)) > 0.6
    assert float(singular.max() / (0.2 * max(rows, columns) ** 0.5)) < 1.35
    assert float(change.square().mean().sqrt()) == pytest.approx(0.2, rel=0.25)
    torch.testing.assert_close((layer.bias - before["bias"]).abs() / MUON.lr, torch.ones(rows), atol=1e-3, rtol=0)


@needs_muon
@pytest.mark.parametrize("name", ["instance_patterns", "trans_inr"])
def test_each_parameter_has_one_optimiser_and_tokens_are_no_matrices(name: str, finished) -> None:
    learner = make(name).begin(finished, "cpu")
    matrices = layer_matrices(learner.module)
    optimisers = Optimisers(make(name), learner.parameter_groups(), matrices)
    turned, others = optimisers.groups
    names = {id(each): key for key, each in learner.module.named_parameters()}
    of_muon, of_adam = ({names[id(each)] for each in one["params"]} for one in (turned, others))
    assert not of_muon & of_adam and of_muon | of_adam == set(names.values())
    shared = {"instance_patterns": "composer.shared.weight_0", "trans_inr": "base.weight_1"}[name]
    assert {"data_tokens.linear.weight", shared} < of_muon
    assert {"data_tokens.positions", "weight_tokens", "data_tokens.linear.bias"} < of_adam
    assert all(each.ndim == 2 for each in turned["params"])


@needs_muon
def test_a_run_with_muon_continues_to_the_same_bits(finished, tmp_path) -> None:
    task = make("instance_patterns", num_coords=20, weight_decay=0.01, warmup=3)
    tasks.train(task, finished, tmp_path / "whole", device="cpu", quiet=True)
    tasks.train(task, finished, tmp_path / "parts", device="cpu", quiet=True, stop_after=7)
    assert any(key.endswith("momentum_buffer") for key in read(tmp_path / "parts" / "last.safetensors").optimiser)
    tasks.train(task, finished, tmp_path / "parts", device="cpu", quiet=True)
    whole, parts = (read(tmp_path / each / "last.safetensors") for each in ("whole", "parts"))
    for kind in ("module", "optimiser"):
        one, other = getattr(whole, kind), getattr(parts, kind)
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@needs_muon
def test_factors_of_groups_hold_for_both_optimisers() -> None:
    one, other = nn.Linear(4, 4), nn.Linear(4, 4)
    groups = [group(one, lr_factor=1.0), group(other, lr_factor=10.0)]
    optimisers = Optimisers(MUON, groups, [*layer_matrices(one), *layer_matrices(other)])
    factors = {id(each): found["lr_factor"] for found in optimisers.groups for each in found["params"]}
    assert {factors[id(each)] for each in one.parameters()} == {1.0}
    assert {factors[id(each)] for each in other.parameters()} == {10.0}


@needs_muon
def test_muon_without_a_matrix_is_refused_in_one_line(finished, tmp_path) -> None:
    with pytest.raises(InrzooError, match=r"^optimiser = 'muon' is for the matrices of linear layers; this network"):
        tasks.train(make("learned_init"), finished, tmp_path / "run", device="cpu", quiet=True)


def test_a_torch_without_muon_is_told_in_one_line(monkeypatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    layer = nn.Linear(2, 2)
    with pytest.raises(InrzooError, match=r"^optimiser = 'muon' needs torch 2\.9 or later, and this is 2\."):
        Optimisers(MUON, [group(layer)], layer_matrices(layer))
