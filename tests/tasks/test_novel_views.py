"""The task `novel_views`: which rays it learns from, training, continuing, measuring, on balls in posed views."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from inrzoo import manifest, registry, tasks
from inrzoo.augmentations import make_augmentations
from inrzoo.builder import build
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.hypernets.starts import matched_start
from inrzoo.observations.rays import rays_of
from inrzoo.refit import refit
from inrzoo.store import open_store
from inrzoo.tasks import UnfittedDataset, novel_views
from inrzoo.tasks.reporting.drawing import draw
from inrzoo.tasks.signals import signal_set
from inrzoo.tasks.views import ViewSet
from inrzoo.verify import verify

SETTINGS = {
    "source.num_signals": 16, "source.size": 10, "source.num_views": 6, "source.num_held_out": 2,
    "source.num_validation": 3, "source.num_test": 3, "observation.samples": 8,
}  # fmt: skip
INR = {"name": "relu_mlp", "hidden_features": 12, "hidden_layers": 1, "encoding": "log_spaced", "num_frequencies": 3}
INR |= {"sigma": 4.0}
TRANSFORMER = {"patch": 5, "features": 16, "num_layers": 1, "num_heads": 2, "mlp_features": 16, "dropout": 0.0}
HYPERNETS = {
    "trans_inr": {**TRANSFORMER, "groups": 8},
    "instance_patterns": {**TRANSFORMER, "rank": 8},
    "learned_init": {"inner_coords": 32, "inner_lr": 0.3},
    "cavia": {"rank": 8, "inner_coords": 32},
}
FEW = {"test_support_views": (1, 3), "test_tto_steps": 30, "test_tto_lr": 5e-3, "test_tto_rays": 64}


@pytest.fixture(scope="module")
def balls() -> UnfittedDataset:
    return UnfittedDataset(manifest.load("balls", overrides=SETTINGS))


def make(name="trans_inr", **fields):
    spec = {"hypernet": {"name": name, **HYPERNETS[name]}, "inr": INR, "steps": 20, "validate_every": 10, "lr": 5e-3}
    return registry.make("tasks", {"name": "novel_views", **spec, "batch": 4, "num_rays": 48, **FEW, **fields})


@pytest.fixture(scope="module")
def run(balls, tmp_path_factory):
    """A finished run of a transformer, and its task."""
    folder = tmp_path_factory.mktemp("views") / "run"
    task = make(support_views=(1, 2), steps=60, validate_every=30)
    tasks.train(task, balls, folder, device="cpu", quiet=True)
    return task, folder


@pytest.fixture(scope="module")
def batch(balls):
    views = ViewSet(signals=signal_set(balls, "train"), seed=3)
    return views.read(np.array([0, 1, 4]), epoch=2, key=0)


# --- the rays of a step ----------------------------------------------------------------------------------------


def pixel_of(batch, row: int, ray: torch.Tensor) -> tuple[int, int]:
    """The view and the pixel that a ray of an object belongs to, by search among all rays of all views."""
    rays = torch.from_numpy(rays_of(batch.poses_BV34, batch.intrinsics_B4, batch.size))[row]
    distance, number = (rays - ray).abs().amax(dim=-1).min(dim=0)
    assert distance < 1e-6
    return divmod(int(number), batch.size[0] * batch.size[1])


@pytest.mark.parametrize("foreground", [False, True])
def test_supervised_rays_are_of_views_that_are_no_support_views(batch, foreground):
    torch.manual_seed(0)
    rays, values = batch.drawn(2, 60, foreground)
    assert rays.shape == (3, 60, 6) and values.shape == (3, 60, 3)
    support_rays, support_values = batch.support(2)
    for row in range(3):
        support = set(batch.order_BV[row, :2].tolist())
        places = [pixel_of(batch, row, ray) for ray in rays[row]]
        assert {view for view, _ in places} == set(range(6)) - support
        assert torch.equal(values[row], torch.stack([batch.values_BVKC[row, view, pixel] for view, pixel in places]))
        assert {pixel_of(batch, row, ray)[0] for ray in support_rays[row, ::33]} == support
    assert torch.equal(support_values[1, :100], batch.values_BVKC[1, batch.order_BV[1, 0]])


def test_half_of_the_rays_are_of_the_foreground(batch):
    torch.manual_seed(0)
    _, values = batch.drawn(1, 200, foreground=True)
    is_object = (values < 1).any(dim=-1).float()
    assert (is_object[:, :100] == 1).all()
    share = (batch.values_BVKC < 1).any(dim=-1).float().mean(dim=(1, 2))
    assert (is_object[:, 100:].mean(dim=1) - share).abs().max() < 0.15
    assert (share < 0.35).all()  # so that a draw from anywhere would be seen


def test_an_object_that_no_view_shows_has_rays_from_anywhere(batch):
    empty = dataclasses.replace(batch, values_BVKC=batch.values_BVKC.clone())
    empty.values_BVKC[1] = 1.0
    empty.values_BVKC[2, empty.order_BV[2, 1:]] = 1.0  # seen by its support view alone
    rays, values = empty.drawn(1, 40, foreground=True)
    assert (values[1:] == 1).all() and (values[0] < 1).any(dim=-1)[:20].all()
    assert len({pixel_of(empty, 1, ray) for ray in rays[1]}) > 30


def test_nearly_white_pixels_are_background(batch):
    """A colour within half a level of 8 bits cannot be told from the background."""
    nearly = dataclasses.replace(batch, values_BVKC=torch.full_like(batch.values_BVKC, 1 - 0.4 / 255))
    assert all(len(shown) == 0 for shown in nearly._foreground(nearly.order_BV))
    other = dataclasses.replace(batch, values_BVKC=torch.full_like(batch.values_BVKC, 1 - 1 / 255))
    assert all(len(shown) == 600 for shown in other._foreground(other.order_BV))


def test_support_views_are_a_function_of_seed_epoch_and_object(balls):
    signals = signal_set(balls, "train")
    views = ViewSet(signals=signals, seed=3)

    def order(views, row, epoch):
        return views.read(np.array([row]), epoch=epoch, key=row + epoch).order_BV[0].tolist()

    together = views.read(np.array([5, 2]), epoch=1, key=9).order_BV.tolist()
    assert together == [order(views, 5, 1), order(views, 2, 1)]
    assert sorted(together[0]) == list(range(6))
    orders = {tuple(order(views, row, epoch)) for row in range(4) for epoch in range(4)}
    assert len(orders) > 12
    assert order(views, 0, 0) != order(ViewSet(signals=signals, seed=4), 0, 0)


def test_an_object_is_turned_with_all_of_its_views(balls):
    """One quarter turn about z for support views and others; another epoch, another turn; colours stay."""
    signals = signal_set(balls, "train")
    quarter = make_augmentations([{"name": "turn", "step": 90, "axis": 2}], signals.kind())
    views, angles = ViewSet(signals=signals, seed=3), set()
    for epoch in range(6):
        batch = views.read(np.array([4, 1]), epoch=epoch, key=0)
        support, others = batch.support(1), batch.drawn(1, 20, foreground=False)
        moved_support, moved_others = batch.augmented(quarter, support, others)
        alone = views.read(np.array([1]), epoch=epoch, key=5).augmented(quarter, (support[0][1:], support[1][1:]))
        assert torch.equal(alone[0][0], moved_support[0][1:])
        assert torch.equal(moved_support[1], support[1]) and torch.equal(moved_others[1], others[1])
        for row in range(2):
            before = torch.cat([support[0][row], others[0][row]]).unflatten(-1, (2, 3))
            after = torch.cat([moved_support[0][row], moved_others[0][row]]).unflatten(-1, (2, 3))
            turns = [torch.linalg.matrix_power(torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), n) for n in range(4)]
            fits = [n for n, matrix in enumerate(turns) if torch.equal(before @ matrix.T, after)]
            assert len(fits) == 1
            angles.add((row, *fits))
    assert len(angles) >= 5
    with pytest.raises(InrzooError, match="crop"):
        make(augment=({"name": "crop", "padding": 1},)).begin(balls, "cpu")


def test_more_support_views_include_fewer(balls):
    views = ViewSet(signals=signal_set(balls, "test"))
    (part,) = views.parts()
    one, three = (part.given(count, "cpu") for count in (1, 3))
    assert torch.equal(three.where[:, :100], one.where) and torch.equal(three.values[:, :100], one.values)
    rays, _ = three.targets.held_out
    assert rays.shape == (3, 200, 6)
    both = np.concatenate([rays, three.where.numpy()], axis=1)[..., :3]  # where cameras stand
    assert len({tuple(place) for place in both[0].round(4).tolist()}) == 2 + 3


# --- training and measuring -----------------------------------------------------------------------------------


def test_training_raises_the_psnr_of_unseen_objects(balls, run):
    task, folder = run
    learner = task.begin(balls, "cpu")
    learner.module.eval()
    with torch.no_grad():
        untrained = learner.validate()["score"]
    trained = tasks.train(task, balls, folder, device="cpu", quiet=True)
    assert trained.unchanged and trained.score > untrained + 1
    found = {one.name: one for one in tasks.evaluate(folder, balls, split="validation", device="cpu")}
    assert found["PSNR, 1 view"].mean == pytest.approx(trained.score, abs=1e-3)
    assert list(found) == [
        f"PSNR, {views}{stage}" for views in ("1 view", "3 views") for stage in ("", ", 30 steps on all")
    ]
    assert all(one.trials == 3 for one in found.values())


def test_psnr_is_the_mean_over_held_out_views_of_unseen_objects(balls, run):
    """Against the definition: rendered view by view, from the source's own arrays."""
    task, folder = run
    (found, *_) = tasks.evaluate(folder, balls, device="cpu", test_support_views=(1,), test_tto_steps=0)
    signals, network = task.restored(balls, "test", read(folder).module, "cpu")
    source = registry.make("sources", balls.manifest.source).read(None)
    rows = np.flatnonzero(source.split == source.split_names.index("test"))
    arrays = source.read_arrays(rows)
    (part,) = ViewSet(signals=signals).parts()
    given = part.given(1, "cpu")
    decibels = []
    with torch.no_grad():
        weights = network(given.where, given.values)
        for number in range(len(rows)):
            for view in range(2):
                pose = arrays["held_out_poses"][number, view][None, None]
                rays = torch.from_numpy(rays_of(pose, arrays["intrinsics"][number][None], (10, 10)))
                shown = network.predict(weights[number : number + 1], rays)[0]
                truth = torch.from_numpy(arrays["held_out_signals"][number].reshape(2, 100, 3)[view] / 255)
                decibels.append(-10 * (shown - truth).square().mean().log10())
    assert found.mean == pytest.approx(float(torch.stack(decibels).mean()), abs=1e-3)


@pytest.mark.parametrize("name", ["trans_inr", "learned_init"])
def test_a_run_that_was_stopped_continues_to_the_same_bits(name, balls, tmp_path):
    turn = ({"name": "turn", "step": 90, "axis": 2},)
    task = make(name, support_views=(1, 2), steps=8, validate_every=4, augment=turn)
    tasks.train(task, balls, tmp_path / "whole", device="cpu", quiet=True)
    tasks.train(task, balls, tmp_path / "parts", device="cpu", quiet=True, stop_after=5)
    tasks.train(task, balls, tmp_path / "parts", device="cpu", quiet=True)
    whole, parts = (read(tmp_path / name / "last.safetensors").module for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.parametrize("name", ["instance_patterns", "cavia"])
def test_every_hypernetwork_trains(name, balls, tmp_path):
    run = tasks.train(make(name, steps=4, validate_every=4), balls, tmp_path, device="cpu", quiet=True)
    found = tasks.evaluate(tmp_path, balls, device="cpu", test_support_views=(1,), test_tto_part="instance")
    assert run.score > 5 and found[1].name == "PSNR, 1 view, 30 steps on instance" and found[1].mean > 5


def test_a_store_is_as_good_as_its_dataset(balls, tmp_path):
    """The same views in the same order: the same network, to the bit."""
    quick = {"fit.steps": 100, "fit.num_coords": 64, "inr.hidden_features": 16}
    build(manifest.load("balls", overrides={**SETTINGS, **quick}), tmp_path / "balls.zarr", in_process=True, quiet=True)
    task = make(steps=3, validate_every=3)
    for name, data in (("store", tmp_path / "balls.zarr"), ("dataset", balls)):
        tasks.train(task, data, tmp_path / name, device="cpu", quiet=True)
    store, dataset = (read(tmp_path / name).module for name in ("store", "dataset"))
    assert all(torch.equal(store[key], dataset[key]) for key in store)


def test_baselines_start_elsewhere_and_take_no_inner_steps(balls, tmp_path, monkeypatch):
    monkeypatch.setattr(novel_views, "matched_start", partial(matched_start, steps=300))
    task = make("learned_init", steps=6, validate_every=6)
    tasks.train(task, balls, tmp_path, device="cpu", quiet=True)
    options = {"device": "cpu", "test_support_views": (1,), "test_tto_steps": 2}
    starts = ("trained", "standard", "shuffled", "matched")
    found = {start: tasks.evaluate(tmp_path, balls, test_start=start, **options) for start in starts}
    assert len({round(first.mean, 4) for first, _ in found.values()}) == 4
    again = tasks.evaluate(tmp_path, balls, test_start="matched", **options)
    assert [one.mean for one in again] == [one.mean for one in found["matched"]]
    signals, network = task.restored(balls, "test", read(tmp_path).module, "cpu")
    trained = network.start.detach().clone()
    dataclasses.replace(task, test_start="shuffled")._set_start(network, signals)
    (part,) = ViewSet(signals=signals).parts()
    given = part.given(1, "cpu")
    with torch.no_grad():
        weights = network(given.where, given.values)
    assert torch.equal(weights, network.start.expand_as(weights)) and not torch.equal(network.start, trained)


def test_reptile_learns_from_all_views(balls, tmp_path):
    reptile = {"name": "learned_init", "algorithm": "reptile", "inner_lr": 0.3, "inner_coords": 32}
    task = make(hypernet=reptile, support_views=(6,), steps=2, validate_every=2)
    assert tasks.train(task, balls, tmp_path, device="cpu", quiet=True).score > 5
    with pytest.raises(InrzooError, match=r"support_views = 6 .* 5 can be"):
        make("learned_init", support_views=(6,)).begin(balls, "cpu")


def test_a_store_of_a_networks_inrs_reads_the_first_views_of_each_object(balls, run, tmp_path):
    """As many as in training at most; the store holds the network, and is made again to the same bits."""
    task, folder = run
    path = tmp_path / "made.zarr"
    build(balls.manifest, path, fitter=folder, in_process=True, quiet=True)
    store = open_store(path)
    targets = store.targets(slice(0, 3))
    _, network = task.restored(balls, "train", read(folder).module, "cpu")
    with torch.no_grad():
        weights = network(*(torch.from_numpy(each)[:, :200] for each in (targets.coords, targets.values_BKC)))
    np.testing.assert_allclose(store.weights[:3, 0, 0], weights.numpy(), rtol=1e-4, atol=1e-5)
    assert verify(path).problems == []
    assert all(one.bit_equal for one in refit(path, 2).refits)
    other = {**SETTINGS, "source.num_views": 1}
    with pytest.raises(InrzooError, match="2 support views; the objects of balls have 1"):
        build(
            manifest.load("balls", overrides=other), tmp_path / "one.zarr", fitter=folder, in_process=True, quiet=True
        )


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field, value",
    [
        ("batch", 0),
        ("num_rays", 0),
        ("support_views", (1, 0)),
        ("support_views", ()),
        ("test_support_views", (1, 0)),
        ("foreground_epochs", -1),
        ("test_tto_lr", 0.0),
        ("test_tto_rays", 0),
        ("test_start", "matched"),
    ],
)
def test_impossible_fields_are_refused(field, value):
    with pytest.raises(InrzooError, match=field) as caught:
        make(**{field: value})
    assert "\n" not in str(caught.value)


def test_signals_without_views_are_refused(finished_small):
    with pytest.raises(InrzooError, match="novel_views needs posed views"):
        make().begin(finished_small, "cpu")


def test_more_support_views_than_there_are_views_are_refused(balls, run):
    with pytest.raises(InrzooError, match=r"test_support_views = 7 .* 6 views"):
        tasks.evaluate(run[1], balls, device="cpu", test_support_views=(7,))


def test_views_of_another_size_are_refused_and_another_number_is_not(run):
    for key, value in (("source.size", 12), ("source.num_views", 7)):
        other = UnfittedDataset(manifest.load("balls", overrides={**SETTINGS, key: value}))
        options = {"device": "cpu", "test_support_views": (1,), "test_tto_steps": 0}
        if key == "source.size":
            with pytest.raises(InrzooError, match="grid"):
                tasks.evaluate(run[1], other, **options)
        else:
            assert tasks.evaluate(run[1], other, **options)[0].mean > 5


# --- pictures -------------------------------------------------------------------------------------------------


def test_pictures_show_support_views_predictions_and_truths(balls, run, tmp_path):
    made = draw(run[1], balls, tmp_path / "pictures", count=2, device="cpu")
    assert [path.name for path in made] == ["views.png"]
    picture = Image.open(made[0]).convert("L")
    assert picture.size == (7 * 240, 2 * 252) and np.asarray(picture).std() > 5
