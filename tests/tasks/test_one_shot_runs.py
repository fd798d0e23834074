"""Lake's one-shot runs, read by a trained encoder: made-up characters, two drawings of each."""

from pathlib import Path

import numpy as np
import pytest
import torch
from stand_ins import write_runs

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.loaders import load
from inrzoo.tasks import train
from inrzoo.tasks.few_shot import FewShot
from inrzoo.tasks.one_shot_runs import one_shot_runs

RUNS, CHARACTERS = 3, 7
FEW = {"way": 3, "shot": 2, "query": 3, "steps": 2, "validate_every": 2, "validation_episodes": 4, "view": 40}


@pytest.fixture(scope="module")
def runs(characters: Path, settings_of_fits: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """INRs of the runs, which begin where those of `characters` began."""
    folder = tmp_path_factory.mktemp("runs")
    settings = {key: value for key, value in settings_of_fits.items() if not key.startswith("init.")}
    wanted = manifest.load("omniglot_runs", overrides={**settings, "source.size": 8})
    archive = write_runs(folder / "all_runs.zip", RUNS, CHARACTERS)
    build(wanted, folder / "runs.zarr", source=archive, init=characters, in_process=True, quiet=True)
    return folder / "runs.zarr"


def test_the_error_is_that_of_the_nearest_training_drawing_by_cosine(characters, runs, tmp_path):
    """Of raw weights, normalised as in training, against a loop over the drawings of each run."""
    train(FewShot(**FEW, encoder={"name": "raw"}, view_use="none"), characters, tmp_path / "run", quiet=True)
    measured = one_shot_runs(tmp_path / "run", runs)
    statistics = load(characters, split="train", views=40, normalise="per_parameter").normaliser
    dataset = load(runs, views=40, normalise="none")
    weights = torch.nn.functional.normalize((dataset[:].weights - statistics.mean) / statistics.std, dim=1)
    names = dataset.stores[0].info.label_names
    character, run, part = (dataset.labels[column] for column in ("character", "run", "part"))
    errors = []
    for number in range(RUNS):
        training = [i for i in range(len(weights)) if run[i] == number and names["part"][part[i]] == "training"]
        test = [i for i in range(len(weights)) if run[i] == number and names["part"][part[i]] == "test"]
        assert len(training) == len(test) == CHARACTERS
        nearest = [max(training, key=lambda j, i=i: float(weights[i] @ weights[j])) for i in test]
        errors.append(100 * np.mean([character[j] != character[i] for i, j in zip(test, nearest, strict=True)]))
    assert measured.mean == pytest.approx(float(np.mean(errors))) and measured.trials == RUNS
    assert 0 < measured.mean < 70  # guessing errs in six of seven


def test_what_cannot_be_measured_is_one_line(characters, runs, make_store, tmp_path):
    train(FewShot(**FEW, encoder={"name": "raw"}, view_use="none"), characters, tmp_path / "run", quiet=True)
    with pytest.raises(InrzooError, match="has no label column run; expected a store of one-"):
        one_shot_runs(tmp_path / "run", characters)
    other = make_store("other", init__mode="shared")
    with pytest.raises(InrzooError, match="init"):
        one_shot_runs(tmp_path / "run", other)
