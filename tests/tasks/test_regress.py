"""Regression: R² against another's formula, targets against a loop, and what cannot be learned is refused."""

import numpy as np
import pytest
import torch
from tiny_store import tiny

from inrzoo import checkpoint, load_encoder, manifest, open_store, tasks
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.store.quantities import quantity, quantity_array
from inrzoo.tasks.measurements import measured_r2
from inrzoo.tasks.regress import Regress, targets
from inrzoo.tasks.reporting.embedding import features

SMALL = {"encoder": {"name": "layer_statistics", "hidden_features": 16}, "batch_size": 16, "warmup": 0}


@pytest.fixture(scope="module")
def viewed(tmp_path_factory):
    """The tiny store with two snapshots of each fit."""
    path = tmp_path_factory.mktemp("viewed") / "tiny.zarr"
    build(tiny(fit__views=[20, 40], fit__stop_psnr=0.0), path, in_process=True, quiet=True)
    return path


def test_r2_is_that_of_scikit_learn_and_its_interval_that_of_a_bootstrap():
    from sklearn.metrics import r2_score

    generator = torch.Generator().manual_seed(0)
    truth = 30 + 4 * torch.randn(400, generator=generator, dtype=torch.float64)
    predicted = truth + 2 * torch.randn(400, generator=generator, dtype=torch.float64)
    found = measured_r2("R²", predicted, truth)
    assert found.mean == pytest.approx(100 * r2_score(truth, predicted)) and found.trials == 400
    rows = np.random.default_rng(0).integers(400, size=(2000, 400))
    drawn, errors = truth.numpy()[rows], (predicted - truth).numpy()[rows]
    again = 100 * (1 - (errors**2).mean(1) / drawn.var(1))
    assert found.interval == pytest.approx(1.96 * np.std(again), rel=0.1)


def test_a_constant_answer_explains_nothing_and_a_constant_truth_is_refused():
    truth = torch.tensor([1.0, 2.0, 6.0])
    assert measured_r2("R²", torch.full((3,), 3.0), truth).mean == 0
    assert measured_r2("R²", torch.full((3,), 4.0), truth).mean < 0
    assert measured_r2("R²", truth, truth).mean == 100
    with pytest.raises(InrzooError, match="R² is not defined: the number is the same for all 3 INRs"):
        measured_r2("R²", truth, torch.ones(3))


@pytest.mark.parametrize("views", [None, (40,)])
def test_targets_are_the_numbers_of_each_inr(viewed, views):
    dataset = Regress(views=views).dataset(viewed, "test")
    store, batch = open_store(viewed), dataset[:]
    each = zip(batch.signal.tolist(), batch.seed.tolist(), batch.step.tolist(), strict=True)
    slow = [store.psnr[signal, seed, store.snapshots.index(step)] for signal, seed, step in each]
    assert targets(dataset, "psnr").tolist() == slow and len(slow) == len(dataset)
    some = np.array([3, 0])
    assert targets(dataset, "psnr", some).tolist() == [slow[3], slow[0]]


def test_what_weights_say_of_their_quality_is_learned(viewed, tmp_path):
    """Weights at 20 steps and at 40 differ, and so does their quality; one at 40 steps alone is another dataset."""
    task = Regress(**SMALL, steps=60, lr=1e-2, validate_every=20)
    tasks.train(task, viewed, tmp_path / "run", quiet=True, device="cpu")
    found, error = tasks.evaluate(tmp_path / "run", viewed, split="train")
    dataset = task.dataset(viewed, "train")
    truth = targets(dataset, "psnr")
    assert found.mean > 30 and found.trials == len(dataset) == 2 * len(Regress(views=(40,)).dataset(viewed, "train"))
    assert error.mean < float((truth - truth.mean()).abs().mean())
    encoder = load_encoder(tmp_path / "run")
    ours = features(tmp_path / "run", viewed, split="train").features
    assert torch.allclose(encoder(dataset[:].weights), ours, atol=1e-5)
    network = task.restored(dataset, checkpoint.read(tmp_path / "run").module, "cpu")
    with torch.no_grad():
        answers = network.of_weights(dataset[:].weights)
    assert measured_r2("R²", answers, truth).mean == pytest.approx(found.mean, abs=1e-3)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"column": "psnrr"}, r"the store has no column of numbers 'psnrr' \(did you mean 'psnr'\?\); there are: "),
        ({"column": "steps", "views": (40,)}, "column = 'steps' is the same number for all INRs of the training split"),
        ({"views": (30,)}, "has no view of 30 steps; there are: 20, 40"),
    ],
)
def test_a_column_that_cannot_be_learned_is_refused_in_one_line(viewed, tmp_path, fields, message):
    with pytest.raises(InrzooError, match=message) as caught:
        tasks.train(Regress(**SMALL, **fields), viewed, tmp_path / "run", quiet=True, device="cpu")
    assert "\n" not in str(caught.value)


def test_numbers_that_are_missing_are_refused(viewed):
    dataset = Regress().dataset(viewed, "test")
    dataset.stores[0].psnr[dataset.rows.locations(np.arange(1)).signal] = np.nan
    with pytest.raises(InrzooError, match=r"column = 'psnr' has no finite number for \d of \d+ INRs of "):
        targets(dataset, "psnr")


def test_measures_and_numbers_of_signals_are_columns_too(tmp_path):
    keys = {"source.num_samples": 32, "fit.engine": "reference", "inr.hidden_features": 6, "fit.steps": 30}
    build(manifest.load("tones", None, {**keys, "seeds": 2}), tmp_path / "s.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "s.zarr")
    assert np.array_equal(quantity(store, "snr"), store.measures["snr"])
    for name, numbers in store.numbers.items():
        assert quantity(store, name).shape == store.psnr.shape
        assert (quantity(store, name) == numbers[:, None, None]).all()
    for name in ("psnr", "snr", *store.numbers):
        assert (tmp_path / "s.zarr" / quantity_array(store.info, name) / "zarr.json").exists()
