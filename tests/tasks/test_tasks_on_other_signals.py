"""Tasks on weights need no code of their own for sounds, shapes and views: the default augmentation fits each."""

from pathlib import Path

import pytest

from inrzoo import manifest, tasks
from inrzoo.builder import build
from inrzoo.loaders import load
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.contrastive import Contrastive

KEYS = {
    "tones": {"source.num_samples": 32},
    "solids": {"source.num_points": 64, "source.num_held_out": 8, "fit.num_coords": 32, "fit.lr": 1e-2},
    "balls": {"source.size": 4, "fit.num_coords": 8, "observation.samples": 4},
}
SMALL = {
    "encoder": {"name": "equivariant_mlp", "hidden_features": 4, "num_layers": 1, "out_features": 4},
    "batch_size": 3,
    "warmup": 0,
    "steps": 2,
    "validate_every": 1,
}


@pytest.mark.parametrize("name", KEYS)
def test_a_classifier_and_contrastive_features_of_any_signals(name: str, tmp_path: Path) -> None:
    keys = {"fit.engine": "reference", "inr.hidden_features": 6, "fit.steps": 100, "fit.views": [60, 100], **KEYS[name]}
    build(manifest.load(name, None, keys), tmp_path / "s.zarr", in_process=True, quiet=True)
    for task in (Classify(**SMALL), Contrastive(**SMALL, between="views", projector_hidden=4, projector_features=4)):
        prepared = task.prepared(load(tmp_path / "s.zarr", split="train"), augmented=True)
        assert prepared[:4].weights.isfinite().all()
        run = tasks.train(task, tmp_path / "s.zarr", tmp_path / type(task).__name__, quiet=True, device="cpu")
        assert run.step == 2
