"""The examples in docstrings run, on the tiny store under the name digits.zarr."""

import doctest
import importlib
import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_store import tiny

import inrzoo
from inrzoo.builder import build
from inrzoo.tasks.generative import judges

EXAMPLES = {
    "api.building": ("build",),
    "addresses": ("located", "is_hub_name", "open_store", "short_name"),
    "api.encoders": ("load_encoder",),
    "api.generating": ("generate",),
    "api.gathering": ("convert", "diff", "merge", "subset"),
    "api.training": ("train", "evaluate"),
    "array_namespace": ("array_namespace",),
    "differences": ("differences",),
    "gather.selection": ("as_words",),
    "keywords": ("unknown",),
    "leaderboard.definition": ("network_of",),
    "leaderboard.evaluator": ("Evaluator",),
    "loaders": ("load",),
    "loaders.batch": ("WeightBatch",),
    "loaders.dataset": ("WeightDataset",),
    "loaders.graphs": ("to_pyg",),
    "loaders.stream": ("WeightStream",),
    "loaders.transforms": ("generator_for", "make_transforms"),
    "loggers": ("Logger",),
    "short_forms": ("short_table",),
    "augmentations": ("make_augmentations",),
    "reference": ("fields",),
    "store.quantities": ("quantity", "quantity_array"),
    "store.reader": ("Store", "open_store"),
    "store.selection": ("select",),
    "tasks.autoencode": ("Autoencode",),
    "tasks.code_decoders": ("PositionalEncoding",),
    "tasks.generative.frechet": ("frechet_distance",),
    "tasks.generative.nearest": ("nearest_distances",),
    "tasks.measurements": ("measured_mean", "measured_r2", "measured_removal", "measured_share"),
    "tasks.probes": ("identity", "mean_average_precision"),
    "tasks.signal_targets": ("SignalTargets",),
    "store.weight_codec": ("WeightCodec",),
    "tasks.trained_encoders": ("TrainedEncoder",),
    "tasks.training.batches": ("Share",),
    "tasks.training.options": ("transform_table",),
    "tasks.training.schedule": ("learning_rate",),
}
"""Module -> names of what must have an example; every example of the module runs."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_in_docstrings_run(name, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(judges, "STEPS", 4)
    if name in (
        "api.encoders",
        "api.training",
        "loggers",
        "tasks.autoencode",
        "tasks.trained_encoders",
    ):  # the tiny store has no validation signals
        build(tiny(limit=200, seeds=1, fit__steps=20), tmp_path / "digits.zarr", in_process=True, quiet=True)
    else:
        shutil.copytree(finished, tmp_path / "digits.zarr")
    torch.manual_seed(0)
    module = importlib.import_module(f"inrzoo.{name}")
    names = vars(module) | {"inrzoo": inrzoo, "torch": torch, "np": np, "store": inrzoo.open_store("digits.zarr")}
    runner = doctest.DocTestRunner(verbose=False)
    ran = set()
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, module.__name__, globs=names):
        assert not any("SKIP" in str(example.options) or "+SKIP" in example.source for example in test.examples)
        if test.examples:
            ran.add(test.name.split(".")[-1])
            runner.run(test)
    assert runner.failures == 0
    assert ran >= set(EXAMPLES[name])
    for each in EXAMPLES[name]:
        assert inspect.getdoc(getattr(module, each))


def test_no_example_of_the_library_is_skipped():
    for path in Path(inrzoo.__file__).parent.rglob("*.py"):
        assert "doctest: +SKIP" not in path.read_text(encoding="utf-8"), path
