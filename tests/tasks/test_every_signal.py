"""Tasks on signals of every observation: sounds, points and views are learned from as pictures are."""

import json

import numpy as np
import pytest
import torch

from inrzoo import manifest, registry, tasks
from inrzoo.builder import build
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.loaders import load
from inrzoo.observations.points import Points
from inrzoo.refit import refit
from inrzoo.store import open_store
from inrzoo.tasks import UnfittedDataset
from inrzoo.tasks.signal_tasks import grid_spacing
from inrzoo.tasks.signals import signal_set
from inrzoo.verify import verify

SPLIT = {"source.num_validation": 3, "source.num_test": 3}
DATASETS = {
    "solids": {"source.num_points": 96, "source.num_held_out": 40},
    "tones": {"source.num_samples": 64},
    "balls": {"source.size": 4, "source.num_views": 2, "source.num_held_out": 1, "observation.samples": 4},
}
SIREN = {"name": "siren", "hidden_features": 8, "hidden_layers": 1, "omega_0": 8.0}
FIELDS = {
    "hypernetwork": {"hypernet": {"name": "learned_init", "inner_lr": 0.1}, "test_tto_steps": 2},
    "end_to_end": {
        "hypernet": {"name": "end_to_end", "inner_steps": 2, "features": 8, "num_layers": 1, "head_features": 8}
    },
}
MEASURES = {"solids": ["PSNR", "mae", "iou"], "tones": ["PSNR", "snr"], "balls": ["PSNR", "held_out_psnr"]}
EVERY = pytest.mark.parametrize("name", DATASETS)


def settings(name: str, **changes: object) -> manifest.Manifest:
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    few = {"fit.steps": 2, "fit.engine": "reference", "inr.hidden_features": 8}
    return manifest.load(name, overrides={**few, **SPLIT, **DATASETS[name], **keys})


def dataset(name: str, **changes: object) -> UnfittedDataset:
    return UnfittedDataset(settings(name, **changes))


def make(task: str = "hypernetwork", **fields: object):
    spec = {"name": task, "inr": SIREN, "batch": 3, "steps": 4, "validate_every": 2, "lr": 1e-3}
    return registry.make("tasks", {**spec, **FIELDS[task], **fields})


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    for name in DATASETS:
        build(settings(name), folder / f"{name}.zarr", in_process=True, quiet=True)
    return {name: folder / f"{name}.zarr" for name in DATASETS}


@EVERY
@pytest.mark.parametrize("split", ["train", "test"])
def test_signals_are_those_that_inrs_of_a_store_are_fitted_to(name, split, stores):
    ours, store = signal_set(dataset(name), split), open_store(stores[name])
    theirs = signal_set(stores[name], split)
    rows = np.flatnonzero(store.split == store.info.split_names.index(split))
    targets = store.targets(rows)
    for signals in (ours, theirs):
        batch = signals.read_rows(torch.arange(len(signals)).flip(0))
        assert np.array_equal(batch.values.flip(0), targets.values_BKC)
        assert (batch.where is None) == targets.shared_coords
        where = signals.places(batch, "cpu")
        assert np.array_equal(where if batch.where is None else where.flip(0), targets.coords)
        (part,) = signals.parts("cpu")
        assert torch.equal(part.values, batch.values.flip(0))
        held_out = part.targets.held_out
        assert (held_out is None) == (targets.held_out is None)
        assert held_out is None or np.array_equal(held_out[1], targets.held_out[1])
    assert (ours.inr, ours.grid, ours.conventions, ours.observation) == (
        theirs.inr, theirs.grid, theirs.conventions, theirs.observation
    )  # fmt: skip


@EVERY
@pytest.mark.parametrize("task", FIELDS)
def test_a_dataset_and_a_store_of_it_train_the_same_network(name, task, stores, tmp_path):
    for kind, data in {"store": stores[name], "dataset": dataset(name)}.items():
        tasks.train(make(task), data, tmp_path / kind, device="cpu", quiet=True)
    of_store, of_dataset = (read(tmp_path / kind) for kind in ("store", "dataset"))
    assert all(torch.equal(part, of_dataset.module[key]) for key, part in of_store.module.items())
    assert of_store.conventions == of_dataset.conventions
    found = tasks.evaluate(tmp_path / "store", dataset(name))
    assert found == tasks.evaluate(tmp_path / "dataset", stores[name])
    names = [one.name for one in found]
    stages = ["", ", 2 steps on all"] if task == "hypernetwork" else [""]
    accuracy = ["accuracy"] if task == "end_to_end" else []
    assert names == [*accuracy, *(measure + stage for stage in stages for measure in MEASURES[name])]


@EVERY
def test_a_run_continues_to_the_same_bits(name, tmp_path):
    task = make("end_to_end", hypernet={**FIELDS["end_to_end"]["hypernet"], "inner_coords": 20}, steps=5)
    for folder, stops in {"whole": (None,), "parts": (3, None)}.items():
        for stop in stops:
            tasks.train(task, dataset(name), tmp_path / folder, device="cpu", quiet=True, stop_after=stop)
    whole, parts = (read(tmp_path / folder / "last.safetensors") for folder in ("whole", "parts"))
    assert all(torch.equal(whole.module[key], parts.module[key]) for key in whole.module)


@pytest.mark.parametrize("name", ["solids", "balls"])
@pytest.mark.parametrize("hypernet", ["cavia", "functa"])
def test_every_hypernetwork_by_gradient_steps_learns_from_own_places(hypernet, name, tmp_path):
    inr = {
        "functa": {"name": "latent_siren", "hidden_features": 8, "hidden_layers": 1, "latent_dim": 4, "omega_0": 8.0}
    }
    fields = {"cavia": {"rank": 4, "layer": 1}, "functa": {}}[hypernet]
    task = make(hypernet={"name": hypernet, **fields}, inr=inr.get(hypernet, SIREN))
    tasks.train(task, dataset(name), tmp_path / "run", device="cpu", quiet=True)
    found = [one.name for one in tasks.evaluate(tmp_path / "run", dataset(name))]
    assert found == [measure + stage for stage in ("", ", 2 steps on all") for measure in MEASURES[name]]


@EVERY
def test_training_lowers_the_loss(name, tmp_path):
    task = make(lr=3e-3, steps=40, validate_every=20, hypernet={"name": "learned_init", "inner_lr": 0.05})
    tasks.train(task, dataset(name), tmp_path, device="cpu", quiet=True)
    first, last = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert last["train_loss"] < 0.9 * first["train_loss"]
    assert last["validation_psnr"] > first["validation_psnr"]


def test_a_step_on_points_is_that_of_a_plain_loop():
    """One signal after the other, one point after the other, its INR written out."""
    learner = make(inr={}, num_coords=None, hypernet={"name": "learned_init", "inner_lr": 0.05}).begin(
        dataset("solids"), "cpu"
    )
    network = learner.module.double()
    network.train()
    batch = learner._batches(0)
    learner._batches = lambda step: batch._replace(values=batch.values.double(), where=batch.where.double())
    loss, _ = learner.loss(0)
    (found,) = torch.autograd.grad(loss, network.start)
    assert len({tuple(points.flatten().tolist()) for points in batch.where}) == 3, "each signal has its own points"

    def error(weights, points, values):
        total = torch.zeros((), dtype=torch.float64)
        for point, value in zip(points.double(), values.double(), strict=True):
            total = total + (network.inr(weights, point[None])[0] - value).square().mean()
        return total / len(points)

    start = network.start.detach().clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for points, values in zip(batch.where[:, :], batch.values, strict=True):
        weights = start
        for _ in range(2):
            (gradient,) = torch.autograd.grad(error(weights, points, values), weights, create_graph=True)
            weights = weights - 0.05 * gradient
        total = total + error(weights, points, values) / 3
    (expected,) = torch.autograd.grad(total, start)
    torch.testing.assert_close(loss, total, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-10)


def test_measures_are_those_of_points_that_the_network_does_not_see():
    signals = signal_set(dataset("solids"), "test")
    task = make()
    network = task.network(signals).eval()
    with torch.no_grad():
        found = {one.name: one.mean for one in task.evaluate(dataset("solids"), "test", network.state_dict(), "cpu")}
        (part,) = signals.parts("cpu")
        weights = network(part.where, part.values)
        points, distances = map(torch.from_numpy, part.targets.held_out)
        errors = (network.inr(weights, points) - distances).abs().mean(dim=(1, 2)) * 0.5
    assert found["mae"] == pytest.approx(float(errors.mean()), rel=1e-5)


def test_inner_steps_see_fresh_points_of_each_signal():
    signals = signal_set(dataset("solids"), "train")
    hypernet = {**FIELDS["end_to_end"]["hypernet"], "inner_coords": 7}
    network = make("end_to_end", hypernet=hypernet).network(signals).train()
    batch = signals.read_rows(slice(3))
    drawn = [network.inner_subset(batch.where, batch.values, step) for step in (0, 0, 1)]
    for where, values in drawn:
        assert where.shape == (3, 7, 3) and values.shape == (3, 7, 1)
        for points, numbers, pool, every in zip(where, values, batch.where, batch.values, strict=True):
            places = [(pool == point).all(dim=1).nonzero().item() for point in points]
            assert len(set(places)) == 7 and torch.equal(every[places], numbers)
    assert not torch.equal(drawn[0][0], drawn[1][0])
    with pytest.raises(InrzooError, match="inner_coords = 97 is more than the 96 coordinates"):
        wide = {**hypernet, "inner_coords": 97}
        make("end_to_end", hypernet=wide).network(signals).instances(batch.where, batch.values)
    for fields in ({"inner_coords": 0}, {"inner_coords": 5, "inner_fraction": 0.5}):
        with pytest.raises(InrzooError, match="inner_coords = "):
            make("end_to_end", hypernet={**hypernet, **fields}).network(signals)


@pytest.mark.parametrize("task", FIELDS)
def test_occupancies_are_logits(task, tmp_path):
    """Cross entropy in nats, its intersection over union, and no PSNR."""
    trimesh = pytest.importorskip("trimesh")
    for number in range(9):
        folder = tmp_path / "shapes" / ("train", "val", "test")[number % 3] / f"kind_{number // 3 % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        trimesh.creation.box((1, 1 + number % 4, 2)).export(folder / f"{number}.off")
    (tmp_path / "shapes.toml").write_text(
        '[source]\nname = "mesh_folder"\nquantity = "occupancy"\nnum_points = 64\nnum_held_out = 64\n'
        '[values]\nrange = [0.0, 1.0]\n[inr]\nname = "siren"\nhidden_features = 8\n'
        '[observation]\nname = "points"\nquantity = "occupancy"\nloss = "bce"\n'
    )
    data = UnfittedDataset(manifest.load(str(tmp_path / "shapes.toml")), tmp_path / "shapes")
    made = make(task)
    run = tasks.train(made, data, tmp_path / "run", device="cpu", quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert "train_psnr" not in lines[0] and lines[-1]["validation_iou"] >= 0
    if task == "hypernetwork":
        assert run.score == pytest.approx(-min(line["validation_loss"] for line in lines))
    signals, network = made.restored(data, "test", read(tmp_path / "run").module, "cpu")
    assert signals.observation == Points(quantity="occupancy", loss="bce")
    (part,) = signals.parts("cpu")
    logits = network.inr(network(part.where, part.values), part.where).detach()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, part.values)
    torch.testing.assert_close(network.loss(part.where, part.values).mean(), expected)
    found = {one.name: one.mean for one in tasks.evaluate(tmp_path / "run", data)}
    assert found["loss"] == pytest.approx(float(expected), rel=1e-5) and "iou" in found and "PSNR" not in found


def test_a_network_of_patches_has_no_use_for_points(inrzoo):
    code, _, err = inrzoo("train", "hypernetwork", "solids", "--hypernet", "trans_inr", "--batch", "2")
    assert code == 2 and err.count("\n") == 1
    assert "hypernet.name = trans_inr cuts signals on a grid into patches, and these have points of their own" in err
    for words, says in (
        (["--coord-noise", "0.5"], "coord_noise is in steps of a grid"),
        (["--augment", "crop=2"], "augment crop: it takes signals on a grid"),
    ):
        code, _, err = inrzoo("train", "hypernetwork", "solids", "--hypernet", "learned_init", "--batch", "2", *words)
        assert code == 2 and err.count("\n") == 1 and says in err


def test_the_noise_of_coordinates_is_in_samples_of_a_sound():
    data = dataset("tones")
    learner, signals = make(coord_noise=0.5).begin(data, "cpu"), signal_set(data, "train")
    step = 2 * signals.extent / 63
    assert grid_spacing(signals).tolist() == pytest.approx([step])
    moved = (learner._places(signals.coords, 50) - signals.coords) / step
    assert 0.45 < moved.abs().max() <= 0.5001
    assert torch.isfinite(learner.loss(0)[0])


def test_sounds_are_cut_into_patches(tmp_path):
    """As in GINR-IPC: 1,000 samples in patches of 200 are five tokens."""
    data = dataset("tones", source__num_samples=1000)
    small = {"patch": 200, "features": 8, "num_layers": 1, "num_heads": 2, "mlp_features": 8}
    for name, fields in {"trans_inr": {"groups": 4}, "instance_patterns": {"rank": 4}}.items():
        task = make(hypernet={"name": name, **small, **fields}, test_tto_steps=0)
        network = task.network(task.signals(data, "train"))
        assert network.data_tokens.num_tokens == 5
        tasks.train(task, data, tmp_path / name, device="cpu", quiet=True)
        assert [one.name for one in tasks.evaluate(tmp_path / name, data)] == ["PSNR", "snr"]


@EVERY
def test_a_store_of_a_networks_inrs_is_whole_and_repeatable(name, tmp_path):
    """The weights are what the network makes of the signals, their measures those of the store, and bits come again."""
    tasks.train(make(), dataset(name), tmp_path / "run", device="cpu", quiet=True)
    out = tmp_path / "made.zarr"
    build(settings(name), out, fitter=tmp_path / "run", in_process=True, quiet=True)
    store, checkpoint = open_store(out), read(tmp_path / "run")
    assert store.info.manifest.values == settings(name).values
    assert store.info.manifest.observation == settings(name).observation
    network = registry.make("tasks", checkpoint.task).network(signal_set(dataset(name), "train")).eval()
    network.load_state_dict(checkpoint.module)
    targets = store.targets(slice(None))
    expected = network(torch.from_numpy(targets.coords), torch.from_numpy(targets.values_BKC)).detach()
    torch.testing.assert_close(torch.from_numpy(store.weights[:, 0, 0]), expected, rtol=1e-4, atol=1e-5)
    found = verify(out)
    assert found.problems == [] and found.num_inrs == 12
    assert all(one.bit_equal for one in refit(out, 3).refits)
    optimised = tmp_path / "optimised.zarr"
    build(settings(name), optimised, fitter=tmp_path / "run", tto=20, in_process=True, quiet=True)
    assert open_store(optimised).loss[:, 0, 0].mean() < store.loss[:, 0, 0].mean()
    assert verify(optimised).problems == []


def test_tasks_on_weights_run_on_a_networks_store_of_shapes(tmp_path):
    tasks.train(make(), dataset("solids"), tmp_path / "run", device="cpu", quiet=True)
    build(settings("solids"), tmp_path / "made.zarr", fitter=tmp_path / "run", in_process=True, quiet=True)
    spec = {"name": "classify", "steps": 2, "validate_every": 2, "batch_size": 4, "warmup": 0}
    classify = registry.make("tasks", {**spec, "encoder": {"name": "flat_mlp", "hidden_features": 8}})
    assert tasks.measure(classify, tmp_path / "made.zarr", tmp_path / "classify", quiet=True)["accuracy"].trials == 3
    assert load(tmp_path / "made.zarr").normaliser.kind == "per_parameter"


def test_points_may_be_more_than_those_of_the_training(tmp_path):
    """A network reads sets of points; more of them are no other signals."""
    tasks.train(make(), dataset("solids"), tmp_path / "run", device="cpu", quiet=True)
    more = settings("solids", source__num_points=128)
    build(more, tmp_path / "made.zarr", fitter=tmp_path / "run", in_process=True, quiet=True)
    assert verify(tmp_path / "made.zarr").problems == []
    with pytest.raises(InrzooError, match=r"with the further arrays held_out_points, .*; those of tones have none"):
        build(settings("tones"), tmp_path / "other.zarr", fitter=tmp_path / "run", in_process=True, quiet=True)


def test_signals_of_other_conventions_are_not_measured(tmp_path):
    tasks.train(make(), dataset("solids"), tmp_path / "run", device="cpu", quiet=True)
    with pytest.raises(InrzooError, match=r"observation\.quantity: sdf → udf"):
        tasks.evaluate(tmp_path / "run", dataset("solids", observation__quantity="udf"))
