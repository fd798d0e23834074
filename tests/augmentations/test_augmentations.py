"""Augmentations of signals: what each does to a signal, and that nothing but seed, epoch and signal decides it."""

import math

import numpy as np
import pytest
import torch

from inrzoo import registry, tasks
from inrzoo.augmentations import Augmentation, SignalKind, augmented, make_augmentations
from inrzoo.augmentations._resampling import resampled
from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.loaders.transforms import generator_for
from inrzoo.tasks.signal_tasks import grid_spacing
from inrzoo.tasks.signals import signal_set

IMAGE = torch.rand(9, 7, 3, generator=torch.Generator().manual_seed(0))
GRIDS = {1: (40,), 2: (9, 7), 3: (5, 6, 7)}


ON_GRID = [
    name for name in registry.names("augmentations") if issubclass(registry.find("augmentations", name), Augmentation)
]


def make(name, sizes=(9, 7), **fields):
    (one,) = make_augmentations([{"name": name, **fields}], SignalKind(sizes=sizes))
    return one


def drawn(augmentation, values, count=50):
    return [augmentation(values, generator_for(0, 0, number)) for number in range(count)]


@pytest.mark.parametrize("axes", GRIDS)
@pytest.mark.parametrize("name", ON_GRID)
def test_every_augmentation_keeps_shape_and_input_and_is_a_function_of_the_generator(name, axes):
    sizes = GRIDS[axes]
    needed = {"rotate": 2, "time_crop": 1}.get(name, axes)
    if needed != axes:
        message = f"augment {name}: it takes grids of {needed} axes; the signals have {axes}"
        with pytest.raises(InrzooError, match=message):
            make(name, sizes)
        return
    augmentation = make(name, sizes)
    values = torch.rand(*sizes, 2, generator=torch.Generator().manual_seed(1))
    before = values.clone()
    found = drawn(augmentation, values)
    assert torch.equal(values, before)
    assert all(one.shape == values.shape and one.dtype == torch.float32 for one in found)
    assert all(torch.equal(one, again) for one, again in zip(found, drawn(augmentation, values), strict=True))
    assert sum(not torch.equal(one, values) for one in found) > 10, "it changes signals"
    lowest = min(0.0, float(values.min())) if name == "time_crop" else values.min()
    assert all(one.min() >= lowest - 1e-6 and one.max() <= values.max() + 1e-6 for one in found)


def test_a_crop_is_a_window_of_the_signal_padded_by_reflection():
    padded = np.pad(IMAGE.numpy(), ((3, 3), (3, 3), (0, 0)), mode="reflect")
    windows = {padded[row : row + 9, col : col + 7].tobytes() for row in range(7) for col in range(7)}
    found = {one.numpy().tobytes() for one in drawn(make("crop", padding=3), IMAGE, 600)}
    assert found == windows, "each of the 49 windows, and nothing else"


def test_a_flip_mirrors_with_its_probability():
    mirrored = [torch.equal(one, IMAGE.flip(1)) for one in drawn(make("flip", probability=0.25), IMAGE, 800)]
    assert 0.2 < np.mean(mirrored) < 0.3
    assert all(torch.equal(one, IMAGE.flip(0)) for one in drawn(make("flip", probability=1.0, axis=0), IMAGE, 3))


def test_resampling_moves_a_linear_function_as_the_matrix_says():
    """Linear interpolation of a linear function is exact, wherever the grid reaches."""
    rows, cols = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(7.0) - 3, indexing="ij")
    ramp = (2 * rows - 3 * cols)[..., None]
    turn = torch.tensor([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])
    shift = torch.tensor([0.5, -0.25])
    found = resampled(ramp, turn, shift)
    places = torch.stack([rows, cols], -1) @ turn.T + shift
    inside = (places[..., 0].abs() <= 4) & (places[..., 1].abs() <= 3)
    expected = (2 * places[..., 0] - 3 * places[..., 1])[..., None]
    assert inside.sum() > 30
    torch.testing.assert_close(found[inside], expected[inside], atol=1e-4, rtol=1e-4)


def test_a_quarter_turn_is_exact_and_a_signal_of_one_axis_is_stretched():
    square = torch.rand(8, 8, 1, generator=torch.Generator().manual_seed(2))
    turned = resampled(square, torch.tensor([[0.0, -1.0], [1.0, 0.0]]), torch.zeros(2))
    torch.testing.assert_close(turned, square.rot90(-1, (0, 1)), atol=1e-5, rtol=1e-5)
    line = torch.arange(41.0)[:, None]
    torch.testing.assert_close(resampled(line, torch.tensor([[0.5]]), torch.zeros(1)), 10 + line / 2)


def test_rotations_are_about_the_middle_and_reach_their_angle():
    spot = torch.zeros(33, 33, 1)
    spot[16, 26] = 1.0
    angles = []
    for one in drawn(make("rotate", (33, 33), degrees=40.0), spot, 200):
        row, col = divmod(int(one.argmax()), 33)
        assert abs(math.hypot(row - 16, col - 16) - 10) < 1
        angles.append(math.degrees(math.atan2(row - 16, col - 16)))
    assert -43 < min(angles) < -30 and 30 < max(angles) < 43


def test_a_resized_crop_is_a_part_of_the_signal():
    """Of a ramp it is a ramp, less steep by the length of the box, that stays in the range of the whole."""
    ramp = torch.arange(64.0)[:, None]
    steps = [one.diff(dim=0) for one in drawn(make("resized_crop", (64,), smallest=0.25), ramp, 200)]
    lengths = torch.stack([step.mean() for step in steps])
    assert all(step.std() < 1e-3 for step in steps)
    assert 0.25 <= lengths.min() < 0.3 and 0.95 < lengths.max() <= 1.0
    plane = ramp[:, None].expand(64, 64, 1)
    boxes = drawn(make("resized_crop", (64, 64), smallest=0.25), plane, 200)
    slopes = torch.stack([one.diff(dim=0).mean() for one in boxes])
    assert 0.5 <= slopes.min() < 0.6, "of an image it is the area that is at least a quarter"


def test_what_is_drawn_depends_on_seed_epoch_and_signal_alone():
    """Not on the batch, and not on the order in it."""
    signals = signal_set("digits", "train")
    batches = signals.batches(8, 0, [{"name": "crop", "padding": 2}, {"name": "flip"}])
    source = batches._stream.source
    rows = np.array([5, 900, 17, 3])
    together = source.read(rows, epoch=2, key=0).values
    alone = torch.cat([source.read(np.array([row]), epoch=2, key=7)[0] for row in rows])
    assert torch.equal(together, alone)
    assert not torch.equal(together, source.read(rows, epoch=3, key=0)[0])
    other = signals.batches(8, 1, [{"name": "crop", "padding": 2}, {"name": "flip"}])._stream.source
    assert not torch.equal(together, other.read(rows, epoch=2, key=0)[0])
    plain = signals.read(rows, epoch=2, key=0)[0]
    made = make_augmentations([{"name": "crop", "padding": 2}, {"name": "flip"}], signals.kind())
    generators = [generator_for(0, 2, int(row)) for row in rows]
    assert torch.equal(together, augmented(plain, None, made, generators)[0])


def task(**fields):
    hypernet = {"name": "learned_init", "inner_lr": 0.05}
    inr = {"name": "relu_mlp", "hidden_features": 8, "hidden_layers": 1}
    table = {"name": "hypernetwork", "hypernet": hypernet, "inr": inr, "batch": 8, "steps": 12, "validate_every": 12}
    return registry.make("tasks", {**table, **fields})


def test_an_augmented_run_continues_to_the_same_bits_and_measures_signals_as_they_are(tmp_path):
    one = task(augment=[{"name": "crop", "padding": 2}, {"name": "rotate"}], coord_noise=0.5)
    for name, stops in {"whole": (None,), "parts": (5, None)}.items():
        for stop in stops:
            tasks.train(one, "digits", tmp_path / name, device="cpu", quiet=True, stop_after=stop)
    tasks.train(task(), "digits", tmp_path / "plain", device="cpu", quiet=True)
    whole, parts, plain = (read(tmp_path / name / "last.safetensors") for name in ("whole", "parts", "plain"))
    assert all(torch.equal(whole.module[key], parts.module[key]) for key in whole.module)
    assert any(not torch.equal(whole.module[key], plain.module[key]) for key in whole.module)
    learners = [made.begin("digits", "cpu") for made in (one, task())]
    for learner in learners:
        learner.module.load_state_dict(plain.module)
        learner.module.eval()
    with torch.no_grad():
        assert learners[0].validate() == learners[1].validate()


def test_a_run_from_before_there_were_augmentations_continues(tmp_path):
    tasks.train(task(), "digits", tmp_path, device="cpu", quiet=True, stop_after=5)
    last = read(tmp_path / "last.safetensors")
    for key in ("augment", "coord_noise"):
        del last.task[key]
    last.write(tmp_path / "last.safetensors")
    assert tasks.train(task(), "digits", tmp_path, device="cpu", quiet=True).step == 12


def test_the_noise_of_coordinates_is_in_steps_of_the_grid():
    learner = task(coord_noise=0.5).begin("digits", "cpu")
    spacing = grid_spacing(signal_set("digits", "train"))
    assert torch.allclose(spacing, torch.full((2,), 2 / 7))
    coords = signal_set("digits", "train").coords
    moved = (learner._places(coords, 100) - coords) / spacing
    assert moved.abs().max() <= 0.5 and moved.std() == pytest.approx(1 / math.sqrt(12), rel=0.02)
    assert not torch.equal(moved[0], moved[1])


def test_wrong_words_are_one_line(inrzoo):
    wrong = {
        "crop=9": "augment crop: padding = 9 is not allowed; it must be from 0 to 7",
        "crops": "--augment 'crops': no augmentations called 'crops'",
        "shear=0.1": "--augment 'shear=0.1': no augmentations called 'shear'",
        "scale=1.2": "augment scale: it takes points; these signals lie on a grid",
        "time_crop=0.5": "augment time_crop: it takes grids of 1 axes; the signals have 2",
        "flip probability=2": "augment flip: probability = 2.0 is not allowed",
    }
    for word, message in wrong.items():
        code, _, err = inrzoo("train", "hypernetwork", "digits", "--augment", word)
        assert code == 2 and message in err and len(err.strip().splitlines()) == 1, err


def test_a_store_with_signals_is_augmented_too(finished, tmp_path):
    one = registry.make("tasks", {**task(augment=[{"name": "flip"}]).to_json(), "batch": 4})
    assert tasks.train(one, finished, tmp_path, device="cpu", quiet=True).step == 12
