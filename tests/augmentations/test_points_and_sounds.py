"""Augmentations of sounds, points and views: what each does to a signal, checked against the shapes themselves."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from inrzoo import manifest, registry, tasks
from inrzoo.augmentations import PlaceAugmentation, SignalKind, make_augmentations
from inrzoo.builder import build
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.loaders.transforms import generator_for
from inrzoo.tasks import UnfittedDataset
from inrzoo.tasks.signals import signal_set
from inrzoo.trust import trust

DISTANCES = SignalKind(sizes=(4000,), places="points", quantity="sdf")
CUT_OFF = dataclasses.replace(DISTANCES, furthest=0.25)
OCCUPIED = dataclasses.replace(DISTANCES, quantity="occupancy")
RAYS = SignalKind(sizes=(2, 4, 4), places="rays")
AT_PLACES = [
    name
    for name in registry.names("augmentations")
    if issubclass(registry.find("augmentations", name), PlaceAugmentation)
]
SIREN = {"name": "siren", "hidden_features": 8, "hidden_layers": 1, "omega_0": 8.0}


def make(name, kind=DISTANCES, **fields):
    (one,) = make_augmentations([{"name": name, **fields}], kind)
    return one


def points():
    return 2 * torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)) - 1


def ball(where, radius=0.5):
    """Signed distances to a ball that is not in the middle; 0.2 along x from there."""
    return (where - torch.tensor([0.2, 0.0, 0.0])).norm(dim=1, keepdim=True) - radius


def drawn(augmentation, values, where, count=30):
    return [augmentation(values, where, generator_for(0, 0, number)) for number in range(count)]


def test_every_place_augmentation_keeps_shapes_and_input_and_is_a_function_of_the_generator():
    assert AT_PLACES == ["jitter", "scale", "turn"]
    for name in AT_PLACES:
        augmentation, where = make(name), points()
        values = ball(where)
        before = where.clone(), values.clone()
        found, again = drawn(augmentation, values, where), drawn(augmentation, values, where)
        assert torch.equal(where, before[0]) and torch.equal(values, before[1])
        for one, same in zip(found, again, strict=True):
            assert all(map(torch.equal, one, same))
            assert one[0].shape == values.shape and one[1].shape == where.shape
            assert one[1].abs().max() <= 1, "points stay in the cube"
        assert len({float(one[1].sum()) for one in found}) > 20


def factor_of(moved, where):
    """The factor of the points that were not replaced, which is the most frequent quotient."""
    return float((moved[:, 0] / where[:, 0]).round(decimals=4).mode().values)


def scaled_ball(where, factor):
    """Signed distances to the ball of `ball`, enlarged with the space around it."""
    return (where - factor * torch.tensor([0.2, 0.0, 0.0])).norm(dim=1, keepdim=True) - factor * 0.5


def test_a_scaled_shape_has_the_distances_of_the_larger_one():
    where, factors = points(), []
    for values, moved in drawn(make("scale", high=1.5, low=0.7), ball(where), where):
        factors.append(factor_of(moved, where))
        torch.testing.assert_close(values, scaled_ball(moved, factors[-1]), atol=2e-4, rtol=0)
    assert 0.7 <= min(factors) < 0.8 and 1.4 < max(factors) <= 1.5


def test_distances_that_are_cut_off_stay_exact_in_a_larger_shape_and_are_refused_in_a_smaller_one():
    where = points()
    for values, moved in drawn(make("scale", CUT_OFF, high=1.4), ball(where).clamp(-0.25, 0.25), where):
        expected = scaled_ball(moved, factor_of(moved, where)).clamp(-0.25, 0.25)
        torch.testing.assert_close(values, expected, atol=2e-4, rtol=0)
        assert (values.abs() == 0.25).float().mean() > 0.2
    with pytest.raises(InrzooError, match=r"low = 0\.9 is not allowed; it must be at least 1, because distances are"):
        make("scale", CUT_OFF, low=0.9)
    with pytest.raises(InrzooError, match=r"needs one value of the distance 0"):
        make("scale", dataclasses.replace(DISTANCES, zero=None))


def test_occupancies_move_with_a_scaled_shape():
    where = points()
    for values, moved in drawn(make("scale", OCCUPIED, low=0.8), (ball(where) < 0).float(), where):
        scaled = scaled_ball(moved, factor_of(moved, where))
        sure = scaled.abs() > 1e-3
        assert torch.equal(values[sure], (scaled[sure] < 0).float())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_turned_shape_has_the_distances_of_the_turned_one(axis):
    where, angles = points(), []
    first, second = (axis + 1) % 3, (axis + 2) % 3
    for values, moved in drawn(make("turn", degrees=100.0, axis=axis), ball(where), where, 60):
        own = moved[:, axis] == where[:, axis]  # the others left the cube and were replaced
        assert own.float().mean() > 0.7
        matrix = torch.linalg.lstsq(where[own], moved[own]).solution  # moved = where @ matrix
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(3), atol=1e-4, rtol=0)
        assert matrix.det() == pytest.approx(1, abs=1e-4) and matrix[axis, axis] == pytest.approx(1, abs=1e-4)
        torch.testing.assert_close(values, ball(moved @ matrix.T), atol=1e-4, rtol=0)
        angles.append(math.degrees(math.atan2(matrix[first, second], matrix[first, first])))
    assert -100.1 < min(angles) < -80 and 80 < max(angles) < 100.1


def test_quarter_turns_map_the_cube_to_itself():
    """Four of them are none, each of the three is as likely, and no point is lost."""
    where = points()
    found = [moved for _, moved in drawn(make("turn", degrees=90.0, step=90.0, axis=2), ball(where), where, 300)]
    turns = {
        -1: torch.stack([where[:, 1], -where[:, 0], where[:, 2]], dim=1),
        0: where,
        1: torch.stack([-where[:, 1], where[:, 0], where[:, 2]], dim=1),
    }
    counts = [sum(torch.equal(moved, turn) for moved in found) for turn in turns.values()]
    assert sum(counts) == 300 and min(counts) > 70


def test_turned_rays_see_the_turned_scene():
    """Of a scene f(x) the turned rays see f(R⁻¹ x) as the others see f."""
    signals = signal_set(
        UnfittedDataset(manifest.load("balls", overrides={"source.size": 4, "source.num_views": 2})), "train"
    )
    batch = signals.read_rows(slice(1))
    augmentation = make("turn", RAYS, step=90.0, axis=2)
    generator = generator_for(0, 0, 3)
    values, rays = augmentation(batch.values[0], batch.where[0], generator)
    assert not torch.equal(rays, batch.where[0]) and torch.equal(values, batch.values[0])
    matrix, *_ = torch.linalg.lstsq(batch.where[0][:, 3:], rays[:, 3:])
    torch.testing.assert_close(matrix.round(), matrix, atol=1e-4, rtol=0)

    def scene(weights, coords):
        return torch.cat([coords, (3 - 4 * (coords - 0.3).norm(dim=-1, keepdim=True))], dim=-1)

    def turned(weights, coords):
        return scene(weights, coords @ matrix.T.round())

    none = torch.zeros(1, 1)
    torch.testing.assert_close(
        signals.observer(turned, none, rays[None]), signals.observer(scene, none, batch.where[:1]), atol=1e-5, rtol=1e-5
    )
    for step in (0.0, 45.0):
        with pytest.raises(InrzooError, match=rf"step = {step} is not allowed; it must be 90 or 180 for views"):
            make("turn", RAYS, step=step)


def test_a_jittered_distance_is_wrong_by_no_more_than_the_move():
    where = points()
    for values, moved in drawn(make("jitter", std=0.01), ball(where), where, 5):
        errors = (values - ball(moved)).abs()[:, 0]
        near = (moved - where).norm(dim=1)
        own = near < 0.1  # the others were replaced
        assert own.float().mean() > 0.95
        assert (errors[own] <= near[own] + 1e-6).all()
        assert near[own].square().mean().sqrt() == pytest.approx(0.01 * math.sqrt(3), rel=0.05)
    for kind in (OCCUPIED, dataclasses.replace(DISTANCES, quantity="values")):
        with pytest.raises(InrzooError, match=rf"augment jitter: it takes distances, udf or sdf; .* {kind.quantity}"):
            make("jitter", kind)


def test_points_that_leave_the_cube_are_replaced_by_others_with_their_values():
    where = points()
    values = torch.arange(4000.0)[:, None]
    found, moved = make("scale", OCCUPIED, low=1.5, high=1.5)(values, where, generator_for(0, 0, 0))
    torch.testing.assert_close(moved, 1.5 * where[found[:, 0].long()])
    stays = (1.5 * where).abs().amax(dim=1) <= 1
    assert torch.equal(found[stays], values[stays]) and 0.2 < stays.float().mean() < 0.4
    assert len(found[~stays].unique()) > 500


def test_a_time_crop_is_a_window_between_silence():
    sound, kind = torch.arange(1.0, 41.0)[:, None], SignalKind(sizes=(40,), zero=-7.0)
    windows = set()
    for number in range(400):
        cropped = make("time_crop", kind, smallest=0.5)(sound, generator_for(0, 0, number))[:, 0]
        own = cropped[cropped != -7.0]
        assert torch.equal(own, own[0] + torch.arange(float(len(own)))) and 20 <= len(own) <= 40
        before = int((cropped != -7.0).nonzero()[0])
        assert before == (40 - len(own)) // 2, "in the middle, as the source lays a short recording"
        windows.add((len(own), float(own[0])))
    assert {length for length, _ in windows} == set(range(20, 41))
    assert {first for length, first in windows if length == 20} >= {1.0} or len(windows) > 100
    with pytest.raises(InrzooError, match=r"one value of silence for all signals; values\.symmetric = true gives it"):
        make("time_crop", SignalKind(sizes=(40,), zero=None))


def settings(name, **changes):
    few = {"solids": {"source.num_points": 96, "source.num_held_out": 40}, "tones": {"source.num_samples": 64}}
    few["balls"] = {"source.size": 4, "source.num_views": 2, "source.num_held_out": 1, "observation.samples": 4}
    return manifest.load(name, overrides={"fit.engine": "reference", "fit.steps": 1, **few[name], **changes})


AUGMENTED = {
    "solids": [{"name": "scale", "high": 1.2}, {"name": "turn"}, {"name": "jitter"}],
    "tones": [{"name": "time_crop"}, {"name": "crop", "padding": 4}],
    "balls": [{"name": "turn", "step": 90.0}],
}


@pytest.mark.parametrize("name", AUGMENTED)
def test_what_is_drawn_depends_on_seed_epoch_and_signal_alone(name, tmp_path):
    """Not on the batch, nor on where signals come from; and a run that was stopped continues to the same bits."""
    build(settings(name), tmp_path / "store.zarr", in_process=True, quiet=True)
    data = UnfittedDataset(settings(name))
    sources = [
        signal_set(each, "train").batches(2, 0, AUGMENTED[name])._stream.source
        for each in (data, tmp_path / "store.zarr")
    ]
    rows = np.array([3, 0, 5])
    together = sources[0].read(rows, epoch=2, key=0)
    for number, row in enumerate(rows):
        alone = sources[1].read(np.array([row]), epoch=2, key=9)
        assert torch.equal(alone.values[0], together.values[number])
        assert alone.where is None or torch.equal(alone.where[0], together.where[number])
    later = sources[0].read(rows, epoch=3, key=0)
    moved = torch.equal(later.values, together.values) and (
        later.where is None or torch.equal(later.where, together.where)
    )
    assert not moved
    spec = {"name": "hypernetwork", "hypernet": {"name": "learned_init", "inner_lr": 0.05}, "inr": SIREN}
    task = registry.make("tasks", {**spec, "batch": 2, "steps": 7, "validate_every": 7, "augment": AUGMENTED[name]})
    for folder, stops in {"whole": (None,), "parts": (4, None)}.items():
        for stop in stops:
            tasks.train(task, data, tmp_path / folder, device="cpu", quiet=True, stop_after=stop)
    whole, parts = (read(tmp_path / folder / "last.safetensors") for folder in ("whole", "parts"))
    assert all(torch.equal(whole.module[key], parts.module[key]) for key in whole.module)
    assert whole.task["augment"] == AUGMENTED[name]


def test_what_augmentations_are_told_of_signals():
    solids = signal_set(UnfittedDataset(settings("solids")), "train").kind()
    assert solids == SignalKind(sizes=(96,), places="points", quantity="sdf", extent=1.0, zero=0.0, furthest=None)
    tones = signal_set(UnfittedDataset(settings("tones")), "train").kind()
    assert tones == SignalKind(sizes=(64,), places="grid", extent=2.0, zero=0.0)
    assert signal_set(UnfittedDataset(settings("balls")), "train").kind().places == "rays"
    digits = signal_set("digits", "train").kind()
    assert digits == SignalKind(sizes=(8, 8), zero=-1.0)


def test_wrong_words_are_one_line(inrzoo):
    wrong = {
        ("solids", "flip"): "augment flip: it takes signals on a grid; these signals have points of their own",
        ("balls", "crop=1"): "augment crop: it takes signals on a grid; these signals have views of their own",
        ("balls", "scale=1.1"): "augment scale: it takes points; these signals have views of their own",
        ("tones", "turn"): "augment turn: it takes points; these signals lie on a grid",
        ("tones", "time_crop=0"): "augment time_crop: smallest = 0.0 is not allowed; it must be above 0 and up to 1",
        ("solids", "scale high=0.5"): "augment scale: low = 1.0 is not allowed",
        ("solids", "turn axis=3"): "augment turn: axis = 3 is not allowed; it must be 0, 1 or 2",
        ("solids", "jitter=-1"): "augment jitter: std = -1.0 is not allowed",
    }
    for (name, word), message in wrong.items():
        words = ["train", "hypernetwork", name, "--hypernet", "learned_init", "--batch", "2", "--augment", word]
        code, _, err = inrzoo(*words)
        assert code == 2 and message in err and len(err.strip().splitlines()) == 1, err


def test_a_class_of_a_user_changes_points(monkeypatch, tmp_path):
    """With the facts that it asks for, and no others."""
    (tmp_path / "mine_of_points.py").write_text(
        "from dataclasses import dataclass\n"
        "import torch\n"
        "from inrzoo.augmentations import PlaceAugmentation\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Mirror(PlaceAugmentation):\n"
        '    """Mirror a shape along x."""\n\n'
        "    zero: int = 7\n\n"
        "    def __call__(self, values, where, generator):\n"
        "        sign = 1 - 2 * int(torch.randint(2, (), generator=generator))\n"
        "        return values, where * torch.tensor([sign, 1, 1])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    name = "mine_of_points:Mirror"
    monkeypatch.setattr(registry, "trusted", {})
    trust("augmentations", name)
    (mirror,) = make_augmentations([{"name": name}], DISTANCES)
    assert mirror.zero == 7 and mirror.extent == 1.0
    where = points()
    signs = {float((moved[:, 0] / where[:, 0]).mean().round()) for _, moved in drawn(mirror, ball(where), where, 20)}
    assert signs == {-1.0, 1.0}
