"""Editing: errors in signal space against loops, what is learned, what is measured, and what is refused."""

import numpy as np
import pytest
import torch
from scipy.ndimage import grey_dilation
from tiny_store import tiny

import inrzoo
from inrzoo import open_store, registry, tasks
from inrzoo.builder import build
from inrzoo.checkpoint import read
from inrzoo.decoders import Decoder
from inrzoo.errors import InrzooError
from inrzoo.tasks.edit import Edit, Editor, load_editor, mean_of_each
from inrzoo.tasks.inputs import turned
from inrzoo.tasks.measurements import Measurement
from inrzoo.tasks.signal_space import SignalSpace, load_with_signals

SMALL = {
    "decoder": {"name": "learned_descent", "num_steps": 2, "hidden_features": 4, "num_layers": 2},
    "batch_size": 8,
    "warmup": 0,
    "validation_inrs": 12,
}


@pytest.fixture(scope="module")
def trained(finished, tmp_path_factory):
    run = tmp_path_factory.mktemp("edit") / "run"
    tasks.train(Edit(**SMALL, steps=40, validate_every=20), finished, run, quiet=True, device="cpu")
    return run


class Nothing(Decoder):
    """No change at all."""

    symmetries = ("permutation",)

    def forward(self, weights):
        return torch.zeros_like(weights)


class QuarterTurn(Decoder):
    """The exact rotation by a right angle, which a SIREN's first layer can do."""

    def __init__(self, inr, turns):
        super().__init__(inr.layout)
        self.inr, self.turns = inr, turns

    def forward(self, weights):
        return turned(self.inr, weights, torch.full((len(weights),), self.turns)) - weights


def test_errors_are_those_of_values_between_0_and_1(finished_small):
    dataset = load_with_signals(finished_small, "train")
    space, batch = SignalSpace(dataset), dataset[[0, 3, 4]]
    assert space.reference == "signals" and torch.equal(space.signals(batch), batch.targets)
    store = open_store(finished_small)
    low, high = store.value_range
    for row, signal in enumerate(batch.signal.tolist()):
        said = store.inr(batch.weights[row], torch.from_numpy(store.coords()))
        slow = float((((said - batch.targets[row]) / (high - low)) ** 2).mean())
        assert float(space.squared_errors(batch.weights, batch.targets)[row]) == pytest.approx(slow, rel=1e-4)
        assert signal == int(dataset[[0, 3, 4]].signal[row])
    unit = space.to_unit(batch.targets)
    assert unit.min() >= 0 and unit.max() <= 1
    torch.testing.assert_close(space.from_unit(unit), batch.targets)


def test_without_signals_what_the_inrs_say_is_edited(finished_small):
    dataset = inrzoo.load(finished_small, split="train", normalise="none")
    space, batch = SignalSpace(dataset), dataset[[0, 1]]
    assert space.reference == "renderings"
    torch.testing.assert_close(space.signals(batch), dataset.inr(batch.weights, space.coords))
    assert float(space.squared_errors(batch.weights, space.signals(batch)).max()) < 1e-10


def test_targets_are_the_edited_signals(finished_small):
    dataset = load_with_signals(finished_small, "test")
    editor = Editor(Edit(), dataset, Nothing(dataset.layout), "cpu")
    batch = dataset[[0, 1]]
    low, high = editor.space.value_range
    pictures = batch.targets.numpy().reshape(2, *editor.space.grid)
    expected = grey_dilation(pictures, size=(1, 3, 3), mode="nearest").reshape(2, -1, 1)
    np.testing.assert_allclose(editor.targets(batch).numpy(), expected, atol=1e-6 * (high - low))


@pytest.mark.parametrize("turns", [1, 3])
def test_an_exact_rotation_of_weights_says_the_rotated_signal(finished_small, turns):
    """Axes, sign of the angle and grid agree between operations on signals and motions of weights."""
    dataset = load_with_signals(finished_small, "train")
    batch = dataset[:20]
    for degrees in (90.0, -90.0):
        task = Edit(operation={"name": "rotation", "degrees": degrees})
        editor = Editor(task, dataset, QuarterTurn(dataset.inr, turns), "cpu")
        errors = editor.space.squared_errors(editor.edited(batch.weights), editor.targets(batch))
        own = editor.space.squared_errors(batch.weights, batch.targets)
        assert torch.allclose(errors, own, rtol=1e-3, atol=1e-6) == ((degrees > 0) == (turns == 1))


def test_dilation_is_learned_and_measured_beside_doing_nothing(trained, finished):
    edited, nothing = tasks.evaluate(trained, finished, split="train", device="cpu")
    assert (edited.name, nothing.name) == ("MSE", "MSE without a change")
    assert edited.mean < 0.6 * nothing.mean
    editor = load_editor(trained, finished, split="train", device="cpu")
    batch = editor.dataset[:]
    with torch.no_grad():
        said = editor.space.render(batch.weights + (editor.edited(batch.weights) - batch.weights))
    low, high = editor.space.value_range
    slow = ((said - editor.targets(batch)) / (high - low)).square().mean((1, 2))
    assert edited.mean == pytest.approx(float(mean_of_each(slow, batch.signal).mean()), rel=1e-4)
    assert edited.trials == len(set(batch.signal.tolist()))


def test_small_errors_are_printed_with_the_digits_of_their_interval(trained, finished, inrzoo, monkeypatch):
    found = [Measurement("MSE", 0.0041415, 0.000041, 2000), Measurement("MSE without a change", 0.09, 0.0, 1)]
    monkeypatch.setattr(Edit, "evaluate", lambda *arguments: found)
    code, out, _ = inrzoo("evaluate", trained, finished)
    assert code == 0 and "0.004142 ± 0.000041   (2000 trials)" in out and "0.090 ± 0.000" in out


def test_a_checkpoint_says_what_was_edited_and_by_what(trained):
    checkpoint = read(trained / "best.safetensors")
    assert checkpoint.progress["notes"]["edited"] == "signals"
    assert checkpoint.task["operation"] == {"name": "dilation"}
    assert checkpoint.conventions["grid"]


def test_the_edit_of_a_trained_editor_is_that_of_other_weights_of_the_function(trained, finished):
    editor = load_editor(trained, finished, device="cpu")
    inr, weights = editor.space.inr, editor.dataset[:6].weights
    moved = inr.random_member(weights, torch.Generator().manual_seed(0))
    coords = editor.space.coords
    with torch.no_grad():
        torch.testing.assert_close(
            inr(editor.edited(moved), coords), inr(editor.edited(weights), coords), atol=1e-3, rtol=0
        )


def test_fits_of_one_signal_are_one_trial(tmp_path):
    path = tmp_path / "two.zarr"
    build(tiny(seeds=2), path, in_process=True, quiet=True)
    dataset = load_with_signals(path, "test")
    task = Edit(decoder={"name": "equivariant_mlp"})
    decoder = registry.make("decoders", task.decoder, layout=dataset.layout)
    edited, _ = task.evaluate(path, "test", decoder.state_dict(), "cpu")
    assert 2 * edited.trials == len(dataset)


@pytest.mark.parametrize("name", registry.names("decoders"))
def test_every_decoder_trains(name, finished_small, tmp_path):
    task = Edit(**SMALL | {"decoder": {"name": name}}, steps=2, validate_every=1, test_inrs=5)
    tasks.train(task, finished_small, tmp_path / "run", quiet=True, device="cpu")
    measured = tasks.evaluate(tmp_path / "run", finished_small, device="cpu")
    assert len({one.trials for one in measured}) == 1 and measured[0].mean != measured[1].mean
    statistics = load_editor(tmp_path / "run", finished_small, device="cpu")._decoder.state_dict()
    if "std" in statistics:  # those of the training split, for each tensor
        layout = open_store(finished_small).layout
        weights = inrzoo.load(finished_small, split="train", normalise="none")[:].weights
        for name, part in layout.split(statistics["std"]).items():
            assert (
                float(part.min())
                == float(part.max())
                == pytest.approx(float(layout.split(weights)[name].std(correction=0)), rel=1e-3)
            )


def test_edits_are_drawn(trained, finished, tmp_path, inrzoo):
    code, out, err = inrzoo("draw", trained, finished, "--out", tmp_path / "pictures", "--count", 2)
    assert code == 0, err
    assert (tmp_path / "pictures" / "edits.png").stat().st_size > 1000 and "edits.png" in out


@pytest.mark.parametrize(
    "words, message",
    [
        (("--operation", "dilatation"), "no operations called 'dilatation' (did you mean 'dilation'?)"),
        (("--decoder", "learned"), "no decoders called 'learned'"),
        (("--set", "operation.size=2"), "size = 2 is not allowed; it must be odd and at least 1"),
        (("--batch-size", 0), "--batch-size 0 is not allowed; it must be at least 1"),
        (("--batch-size", 10_000), "batch_size = 10000 is more than the"),
    ],
)
def test_an_impossible_option_is_one_line(words, message, finished_small, tmp_path, inrzoo):
    code, _, err = inrzoo("train", "edit", finished_small, "--out", tmp_path / "run", *words)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_a_checkpoint_of_another_task_is_refused(finished_small, tmp_path):
    task = registry.make("tasks", {"name": "regress", "encoder": {"name": "raw"}, "batch_size": 8, "steps": 1})
    tasks.train(task, finished_small, tmp_path / "run", quiet=True, device="cpu")
    with pytest.raises(InrzooError, match="is a checkpoint of the task regress, not of edit"):
        load_editor(tmp_path / "run", finished_small)
