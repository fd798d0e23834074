"""Checkpoints of earlier versions are measured to the same numbers, and their runs continue.

Both were stopped after 4 of 6 steps on the golden store `fixed_init`. They have a field for each transform, and the
classifier's average has the names that it had then.
"""

import shutil
import zipfile
from pathlib import Path

import pytest

from inrzoo import tasks
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.tasks.evaluation import restored

FOLDER = Path(__file__).parent
MEASURED = {
    "classify": {"accuracy": 8.695652173913043},
    "contrastive": {
        "linear probe": 27.173913043478258,
        "k-nearest neighbours": 100.0,
        "top-1 of 46": 2.1739130434782608,
        "top-5 of 46": 8.695652173913043,
    },
}
"""Percent on the training split, as the version that wrote the checkpoint measured it."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    with zipfile.ZipFile(FOLDER / "fixed_init-0.1.0.zip") as archive:
        archive.extractall(folder)
    return folder / "fixed_init.zarr"


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of a run that an earlier version left."""
    folder = tmp_path / request.param
    folder.mkdir()
    shutil.copy(FOLDER / f"{request.param}-0.1.0.safetensors", folder / "last.safetensors")
    return folder


@pytest.mark.parametrize("run", MEASURED, indirect=True)
def test_an_older_checkpoint_is_measured_to_the_same_numbers(run: Path, store: Path) -> None:
    found = tasks.evaluate(run / "last.safetensors", store, split="train", device="cpu")
    assert {one.name: one.mean for one in found} == pytest.approx(MEASURED[run.name], abs=1e-9)


@pytest.mark.parametrize("run", MEASURED, indirect=True)
def test_an_older_run_continues(run: Path, store: Path) -> None:
    task = restored(read(run / "last.safetensors"), {})
    assert tasks.train(task, store, run, quiet=True, device="cpu").step == 6
    assert "augment" in read(run / "last.safetensors").task


@pytest.mark.parametrize("run", MEASURED, indirect=True)
def test_an_older_run_is_not_continued_with_other_transforms(run: Path, store: Path) -> None:
    task = restored(read(run / "last.safetensors"), {})
    other = type(task)(**{**vars(task), "augment": task.augment[1:]})
    with pytest.raises(InrzooError, match="augment"):
        tasks.train(other, store, run, quiet=True, device="cpu")


@pytest.mark.parametrize("run", MEASURED, indirect=True)
def test_a_field_for_each_transform_becomes_a_table(run: Path) -> None:
    assert restored(read(run / "last.safetensors"), {}).augment == (
        {"name": "scale", "low": 0.9, "high": 1.1},
        {"name": "shear", "slope": 0.1},
        {"name": "rotate", "degrees": 30.0},
        {"name": "flip"},
        {"name": "intensity", "gain": 0.1, "offset": 0.05},
        {"name": "sign_phase"},
        {"name": "permute_neurons"},
        {"name": "noise", "std": 0.1},
        {"name": "dropout", "p": 0.02},
        {"name": "quantile_dropout"},
    )
