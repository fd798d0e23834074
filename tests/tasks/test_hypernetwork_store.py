"""Few-shot learning on INRs that a hypernetwork made of drawings: signals to weights to tasks."""

import pytest
import torch

from inrzoo import manifest, registry, tasks
from inrzoo.builder import build
from inrzoo.store import open_store
from inrzoo.tasks import UnfittedDataset

INR = {"name": "siren", "hidden_features": 8, "hidden_layers": 1}
SETTINGS = {"source.size": 8, "source.num_alphabets": [4, 1, 1], "fit.lr": 5e-3}


@pytest.fixture(scope="module")
def made(drawings, tmp_path_factory):
    """A learned start, trained on the drawings, and the store of what two steps from it and 30 of Adam make."""
    folder = tmp_path_factory.mktemp("made")
    wanted = manifest.load("omniglot", overrides=SETTINGS)
    spec = {"name": "hypernetwork", "hypernet": {"name": "learned_init", "inner_lr": 0.3}, "inr": INR}
    task = registry.make("tasks", {**spec, "steps": 60, "validate_every": 60, "lr": 3e-3, "batch": 8})
    tasks.train(task, UnfittedDataset(wanted, drawings), folder / "run", quiet=True)
    path = folder / "made.zarr"
    build(wanted, path, source=drawings, fitter=folder / "run", tto=30, in_process=True, quiet=True)
    return path


def test_few_shot_learning_runs_on_it(made, tmp_path):
    store = open_store(made)
    assert (store.status == 1).mean() > 0.9
    spec = {
        "name": "few_shot",
        "way": 3,
        "shot": 2,
        "query": 5,
        "test_query": 5,
        "steps": 20,
        "validate_every": 10,
        "test_ways": [3],
    }
    task = registry.make("tasks", {**spec, "test_shots": [2], "test_episodes": 50, "encoder": {"name": "raw"}})
    found = tasks.measure(task, made, tmp_path, quiet=True)["3-way 2-shot"]
    assert found.mean - found.interval > 100 / 3


def test_its_parameters_are_the_same_neuron_in_every_inr(made):
    """Weights stay near the start that all share, which is what makes them comparable."""
    store = open_store(made)
    weights = torch.from_numpy(store.weights[:, 0, 0])
    assert weights.std(dim=0).mean() < 0.5 * weights.std(dim=1).mean()
