"""Scripts of tables measure how long training took, means over runs, numbers on a page."""

import math
from dataclasses import asdict

import pytest
import torch
from tiny_store import tiny

from inrzoo import registry, tasks
from inrzoo.errors import InrzooError
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.tasks import Comparison, Measurement, UnfittedDataset, over_runs
from inrzoo.tasks.evaluation import require_alike
from inrzoo.tasks.measurements import Z_95, measured_mean, over_seeds_and_signals


def test_time_is_that_of_training_and_adds_up_over_calls(tmp_path):
    network = {"name": "learned_init", "inner_lr": 0.1}
    spec = {"name": "hypernetwork", "hypernet": network, "steps": 12, "validate_every": 12, "batch": 2}
    task = registry.make("tasks", {**spec, "test_tto_steps": 0})
    signals, out = UnfittedDataset(tiny()), tmp_path / "run"
    first = tasks.measure(task, signals, out, quiet=True)
    assert set(first) == {"PSNR", "CPU minutes"}
    spent = tasks.cost(out).cpu_seconds
    assert spent > 0 and first["CPU minutes"] == Measurement("CPU minutes", spent / 60, 0.0, 1)
    assert tasks.measure(task, signals, out, quiet=True) == first  # nothing was trained: no time passed
    half = tmp_path / "half"
    tasks.train(task, signals, half, quiet=True, stop_after=5)
    (half / "run.json").write_text('{"seconds": 1.0, "cpu_seconds": 1000.0, "device": "another"}')
    assert tasks.measure(task, signals, half, quiet=True)["CPU minutes"].mean > 1000 / 60


def test_runs_are_averaged_with_students_interval():
    """Three runs: t = 4.303 at two degrees of freedom (any table of Student's t)."""
    runs = [{"PSNR": Measurement("PSNR", value, 0.1, 64)} for value in (20.0, 21.0, 22.5)]
    found = over_runs(runs)["PSNR"]
    mean = 63.5 / 3
    spread = math.sqrt(sum((value - mean) ** 2 for value in (20.0, 21.0, 22.5)) / 2)
    assert found.mean == pytest.approx(mean)
    assert found.interval == pytest.approx(4.30265 * spread / math.sqrt(3), rel=1e-5)
    assert found.trials == 3
    assert over_runs(runs[:1])["PSNR"].interval == math.inf


def test_networks_read_inrs_that_have_fields_which_came_later():
    """Their INRs were made as the defaults of these fields say; other values are other INRs."""
    net = FourierNet(in_features=1, out_features=1)
    newer = {"name": "fourier_net", **asdict(net)}
    older = {name: value for name, value in newer.items() if name not in ("divisions", "extent")}
    for theirs, ours in ((older, newer), (newer, older)):
        require_alike({"inr": theirs}, {"inr": ours}, "a store")
    with pytest.raises(InrzooError, match=r"than those of a store: inr\.extent: absent → 33\.0$"):
        require_alike({"inr": older}, {"inr": {**newer, "extent": 33.0}}, "a store")


def test_a_page_shows_as_many_decimals_as_asked_for(tmp_path):
    page = Comparison(tmp_path / "page.md", "Title", ["PSNR", "CPU minutes"], decimals=2)
    ours = {"PSNR": Measurement("PSNR", 21.126, 0.354, 3), "CPU minutes": Measurement("CPU minutes", 1.5, 0.0, 1)}
    page.add("method", ours, (30.37, None))
    page.check("one is above the other", ours["PSNR"], Measurement("PSNR", 20.0, 0.0, 3))
    page.write("words")
    text = (tmp_path / "page.md").read_text()
    assert "| 30.37 " in text and "| 21.13 ± 0.35 |" in text and "| 1.50 " in text
    assert "**held** (PSNR: 21.13 against 20.00, difference +1.13 ± 0.35)" in text


def test_interval_of_a_known_variance():
    """Half zeros, half ones: mean ½, sample variance n/4(n−1)."""
    for n in (100, 1000):
        values = torch.arange(n) % 2
        measured = measured_mean("x", values)
        assert (measured.mean, measured.trials) == (0.5, n)
        assert measured.interval == pytest.approx(1.959964 * math.sqrt(0.25 / (n - 1)), rel=1e-6)


def test_interval_holds_the_true_mean_19_times_of_20():
    generator = torch.Generator().manual_seed(0)
    trials = 3 + 2 * torch.randn(4000, 200, generator=generator)
    measured = [measured_mean("x", values) for values in trials]
    held = sum(abs(one.mean - 3) <= one.interval for one in measured)
    assert held / 4000 == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors


def test_quantile_of_the_normal_distribution():
    assert math.erf(Z_95 / math.sqrt(2)) == pytest.approx(0.95, abs=1e-15)


def test_one_episode_has_no_interval():
    assert measured_mean("x", torch.tensor([0.7])).interval == math.inf


def test_an_interval_over_seeds_and_signals_is_the_one_over_either_where_the_other_does_not_vary():
    signals, seeds = torch.tensor([20.0, 25.0, 22.0, 30.0]), torch.tensor([1.0, 2.0, 4.0])
    alike = over_seeds_and_signals("x", signals.expand(3, -1))
    assert (alike.mean, alike.interval) == pytest.approx((24.25, measured_mean("x", signals).interval))
    moved = over_seeds_and_signals("x", seeds[:, None].expand(-1, 4))
    runs = [{"x": Measurement("x", float(each), 0.0, 1)} for each in seeds]
    assert moved.interval == pytest.approx(over_runs(runs)["x"].interval)
    assert over_seeds_and_signals("x", signals[None]) == measured_mean("x", signals)


def test_an_interval_over_seeds_and_signals_holds_the_true_mean_at_least_19_times_of_20():
    """A seed's effect, a signal's, and their own: the interval is rather too wide, here in about 98 of 100 trials."""
    generator = torch.Generator().manual_seed(0)
    held = 0
    for _ in range(1000):
        seeds, signals, both = (torch.randn(*size, generator=generator) for size in ((3, 1), (1, 40), (3, 40)))
        found = over_seeds_and_signals("x", 5 + 0.2 * seeds + signals + 0.5 * both)
        held += abs(found.mean - 5) <= found.interval
    assert 0.95 < held / 1000 < 1
