"""The figure of a run of `end_to_end`: what is drawn of pictures, sounds and shapes, and what is refused."""

import pytest
import torch

from inrzoo import manifest, registry, tasks
from inrzoo.errors import InrzooError
from inrzoo.tasks import UnfittedDataset
from inrzoo.tasks.reporting import inner_steps_figure
from inrzoo.tasks.reporting.drawing import draw
from inrzoo.tasks.signals import signal_set

INR = {"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": 8, "hidden_layers": 1}
NETWORK = {"name": "end_to_end", "inner_steps": 2, "features": 8, "num_layers": 1, "head_features": 8}
SMALL = {
    "solids": {"source.num_points": 96, "source.num_held_out": 40},
    "tones": {"source.num_samples": 64},
    "balls": {"source.size": 4, "source.num_views": 2, "source.num_held_out": 1, "observation.samples": 4},
}


def dataset(name):
    counts = {"source.num_validation": 3, "source.num_test": 3}
    return UnfittedDataset(manifest.load(name, overrides={**counts, **SMALL[name]}))


def trained(data, folder, **fields):
    table = {"name": "end_to_end", "hypernet": NETWORK, "inr": INR, "steps": 4, "validate_every": 4, "batch": 4}
    task = registry.make("tasks", {**table, "lr": 1e-3, **fields})
    tasks.train(task, data, folder, device="cpu", quiet=True)
    return folder


@pytest.fixture
def drawn(monkeypatch):
    """The list holds what the figure was given last: rows, sizes, range of values."""
    given = []
    write = inner_steps_figure.draw_signals

    def remember(rows, sizes, value_range, path):
        given[:] = rows, sizes, value_range
        return write(rows, sizes, value_range, path) if len(rows) < 5 else path  # many rows take seconds

    monkeypatch.setattr(inner_steps_figure, "draw_signals", remember)
    return given


def test_a_row_is_the_signal_and_its_inr_after_every_step(finished, tmp_path, drawn):
    """The last picture is the INR that the run is measured by, the first the start, which is the same for all."""
    run = trained(finished, tmp_path / "run", test_inner_fraction=0.5, hypernet={**NETWORK, "inner_fraction": 0.25})
    (path,) = draw(run, finished, tmp_path / "pictures", split="train", count=3, device="cpu")
    assert path == tmp_path / "pictures" / "inner_steps.png" and path.stat().st_size > 5000
    rows, sizes, _ = drawn
    signals = signal_set(finished, "train")
    part = next(signals.parts("cpu", 3))
    assert sizes == signals.grid and [len(row) for row in rows] == [4, 4, 4]
    assert [row[0][0] for row in rows] == [signals.label_names["digit"][code] for code in part.labels["digit"]]
    assert all(torch.equal(row[0][1], values) for row, values in zip(rows, part.values, strict=True))
    assert torch.equal(rows[0][1][1], rows[2][1][1]) and not torch.equal(rows[0][2][1], rows[2][2][1])
    # Decibels of the titles are those of the pictures, by the range 2 of the values.
    for row in rows:
        for step, (title, values) in enumerate(row[1:]):
            decibels = 10 * torch.log10(4 / (values - row[0][1]).square().mean())
            assert title.startswith(f"{step} step{'' if step == 1 else 's'}, {decibels:.1f} dB: ")
    everything = draw(run, finished, tmp_path / "all", split="train", count=len(signals), device="cpu")
    assert everything and len(drawn[0]) == len(signals)
    measured = {one.name: one.mean for one in tasks.evaluate(run, finished, split="train", device="cpu")}
    right = [row[0][0] == row[-1][0].rsplit(": ", 1)[1] for row in drawn[0]]
    assert 100 * sum(right) / len(right) == pytest.approx(measured["accuracy"])
    decibels = [10 * torch.log10(4 / (row[-1][1] - row[0][1]).square().mean()) for row in drawn[0]]
    assert float(torch.stack(decibels).mean()) == pytest.approx(measured["PSNR"], rel=1e-6)


def test_of_a_shape_a_slice_through_the_middle_is_drawn(tmp_path, drawn, monkeypatch):
    monkeypatch.setattr(inner_steps_figure, "SLICE", (5, 5))
    data = dataset("solids")
    draw(trained(data, tmp_path / "run"), data, tmp_path / "out", count=2, device="cpu")
    rows, sizes, value_range = drawn
    assert sizes == (5, 5) and value_range == signal_set(data, "test").value_range
    part = next(signal_set(data, "test").parts("cpu", 2))
    for row, points, values in zip(rows, part.where, part.values, strict=True):
        for first in range(5):
            for second in range(5):
                place = torch.tensor([first / 2 - 1, second / 2 - 1, 0.0])
                nearest = (points - place).norm(dim=1).argmin()
                assert torch.equal(row[0][1][5 * first + second], values[nearest])
    assert rows[0][-1][1].shape == (25, 1)


def test_sounds_are_drawn_and_views_refused(tmp_path, drawn):
    tones, balls = dataset("tones"), dataset("balls")
    draw(trained(tones, tmp_path / "tones"), tones, tmp_path / "out", count=1, device="cpu")
    assert drawn[1] == (64,) and len(drawn[0]) == 1
    run = trained(balls, tmp_path / "balls")
    with pytest.raises(InrzooError, match="these signals have views of their own"):
        draw(run, balls, tmp_path / "out", count=1, device="cpu")
