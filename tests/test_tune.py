"""The search for settings, and the recipes that were found by it."""

import itertools
import json
import tomllib
from pathlib import Path

import pytest

from inrzoo import manifest
from inrzoo import tune as tuning
from inrzoo.builder import build
from inrzoo.errors import InrzooError
from inrzoo.manifest import Manifest
from inrzoo.store import open_store
from inrzoo.trials import REACHED, Trial, Trials
from inrzoo.tune import Tuned, tune

SMALL = {"inr.hidden_features": 8, "fit.steps": 300, "limit": 120}
TARGET = 20.0


@pytest.fixture(scope="module")
def settings() -> Manifest:
    return manifest.load("digits", None, SMALL)


@pytest.fixture(scope="module")
def tuned(settings: Manifest) -> Tuned:
    return tune(settings, target_psnr=TARGET, budget=600)


def test_the_best_is_the_cheapest_that_reaches_the_target(tuned: Tuned) -> None:
    reaching = [one for one in tuned.ranked if one.reached >= REACHED]
    assert tuned.ranked[0] in reaching and tuned.complete
    assert tuned.ranked[0].mean_steps == min(one.mean_steps for one in reaching)
    assert tuned.ranked[0].mean_steps < 0.7 * tuned.own.mean_steps
    assert tuned.own.settings == {}


@pytest.mark.slow
def test_it_is_within_a_fifth_of_a_grid_search(settings: Manifest, tuned: Tuned) -> None:
    """Of forty settings with constant rates and cosines, measured as the search measures them."""
    trials = Trials(settings, None, TARGET, 288, "cpu")
    costs = []
    for lr, scale, steps in itertools.product((1e-3, 2e-3, 5e-3, 1e-2, 2e-2), (1.0, 2.0), (0, 50, 100, 200)):
        cosine = {"fit.schedule": "cosine", "fit.steps": steps} if steps else {}
        measured = trials.measure({"fit.lr": lr, "inr.init_scale": scale, **cosine}, 288, steps or 300)
        if measured.reached >= REACHED:
            costs.append(measured.mean_steps)
    assert tuned.ranked[0].mean_steps <= 1.2 * min(costs)


def test_its_lines_are_a_manifests(settings: Manifest, tuned: Tuned, tmp_path: Path) -> None:
    """Pasted, they give the steps that were measured."""
    tables = tomllib.loads(tuned.toml())
    keys = {f"{table}.{key}": value for table, inner in tables.items() for key, value in inner.items()}
    pasted = manifest.load(settings, None, {**keys, "fit.stop_psnr": TARGET})
    build(pasted, tmp_path / "tuned.zarr", in_process=True, quiet=True)
    store = open_store(tmp_path / "tuned.zarr")
    assert (store.psnr[:, 0, -1] >= TARGET).mean() > 0.97
    assert abs(store.steps[:, 0, -1].mean() / tuned.ranked[0].mean_steps - 1) < 0.1


def test_the_search_depends_on_no_clock(settings: Manifest, tuned: Tuned) -> None:
    again = tune(settings, target_psnr=TARGET, budget=600)
    assert [(one.settings, one.mean_steps) for one in again.ranked] == [
        (one.settings, one.mean_steps) for one in tuned.ranked
    ]


def test_a_small_budget_still_gives_settings(settings: Manifest) -> None:
    hasty = tune(settings, target_psnr=10.0, budget=1e-3)
    assert not hasty.complete and hasty.ranked[0].reached >= REACHED


def test_a_target_that_no_settings_reach(settings: Manifest) -> None:
    with pytest.raises(InrzooError, match=r"--target-psnr 90: no settings .* --set fit\.steps=N"):
        tune(settings, target_psnr=90.0, budget=1e-3)


def test_the_command(inrzoo, tuned: Tuned) -> None:
    words = ["--set", "inr.hidden_features=8", "--set", "fit.steps=300", "--set", "limit=120", "--budget", "0.01"]
    code, out, err = inrzoo("tune", "digits", "--target-psnr", 10, *words)
    assert code == 0, err
    assert "fewer steps than the dataset's own settings" in out and "[fit]\nlr = " in out and "budget ended" in out
    code, out, _ = inrzoo("tune", "digits", "--target-psnr", 10, *words, "--json")
    assert code == 0 and json.loads(out)["ranked"][0]["settings"]["fit.lr"] > 0
    code, _, err = inrzoo("tune", "digits", "--budget", 0)
    assert code == 2 and err == "inrzoo: --budget 0 is not allowed; it must be above 0 seconds\n"
    code, _, err = inrzoo("tune", "digitz")
    assert code == 2 and len(err.splitlines()) == 1


def test_ways_to_a_quality_are_compared(inrzoo) -> None:
    """By the dataset's own settings and by every recipe; the same INRs as the builds of both."""
    code, out, err = inrzoo("bench", "--target-psnr", 25, "--signals", 20, "--rounds", 2, "--json")
    assert code == 0, err
    compared = json.loads(out)
    own, fast = compared["trials"]["preset small"], compared["trials"]["recipe fast"]
    assert compared["num_signals"] == 1797 and own["num_inrs"] == fast["num_inrs"] == 20
    assert own["reached"] == fast["reached"] == 1.0 and fast["mean_steps"] < own["mean_steps"] / 2
    code, out, err = inrzoo("bench", "--target-psnr", 25, "--signals", 20, "--rounds", 1)
    assert code == 0 and "recipe fast" in out and "INRs/s" in out
    for words, why in (
        (["--dataset", "mnist"], "--dataset needs --target-psnr"),
        (["--target-psnr", 25, "--workload", "W1"], "--workload cannot be used with --target-psnr"),
        (["--target-psnr", 25, "--rounds", 0], "--rounds 0, --signals 256 are not allowed"),
    ):
        code, _, err = inrzoo("bench", *words)
        assert code == 2 and why in err and len(err.splitlines()) == 1


def test_an_inr_that_misses_the_target_costs_more_than_any_that_reaches_it() -> None:
    def of(steps: float, reached: float) -> Trial:
        return Trial({}, 10, steps, steps, reached, 1.0)

    assert sorted([of(10, 0.5), of(90, 1.0), of(80, 0.99)], key=tuning._rank) == [
        of(80, 0.99),
        of(90, 1.0),
        of(10, 0.5),
    ]


# --- recipes ---------------------------------------------------------------------------------------------------------


def test_a_recipe_lies_over_the_preset_and_under_single_keys() -> None:
    plain = manifest.load("mnist", "nfn")
    fast = manifest.load("mnist", "nfn", {"fit.lr": 1e-3}, recipe="fast")
    assert fast.recipe == "fast" and fast.preset == "nfn" and fast.fit.lr == 1e-3
    assert fast.fit.schedule == "cosine" and fast.inr["init_scale"] > 1
    assert fast.inr["convention"] == plain.inr["convention"] and fast.coords == plain.coords


@pytest.mark.parametrize("name", manifest.recipes())
def test_every_recipe_can_be_used(name: str) -> None:
    assert manifest.load("digits", recipe=name).recipe == name


@pytest.mark.realdata
@pytest.mark.slow
def test_small_photographs_reach_35_db_in_a_third_of_the_steps_by_their_recipe(data: Path) -> None:
    own = manifest.load("cifar10", "nfn")
    ways = {"preset": {"fit.steps": 2000}, **manifest.recipes_for("siren")}
    trials = Trials(own, data / "cifar10", 35.0, 32, "cpu").compare(ways, 32, 1).trials
    ours, preset, fast = (trials[name] for name in ("photographs", "preset", "fast"))
    assert ours.reached >= 0.95 and ours.mean_steps < preset.mean_steps / 3
    assert fast.reached < 0.8  # which is why they have a recipe of their own


def test_recipes_that_are_not_there() -> None:
    with pytest.raises(InrzooError, match="no recipe 'quick'; there are: fast"):
        manifest.load("digits", recipe="quick")
    with pytest.raises(InrzooError, match="settings for siren, not for gabor_net; inrzoo tune"):
        manifest.load("digits", None, {"inr.name": "gabor_net"}, recipe="fast")


def test_a_recipe_is_in_the_store_like_any_setting(inrzoo, tmp_path: Path) -> None:
    words = ["--limit", 12, "--steps", 30, "--set", "inr.hidden_features=8", "--in-process"]
    code, _, err = inrzoo("build", "digits", "--recipe", "fast", *words, "--out", tmp_path / "a.zarr")
    assert code == 0, err
    store = open_store(tmp_path / "a.zarr")
    assert store.info.manifest.tables["recipe"] == "fast" and store.info.manifest.fit["schedule"] == "cosine"
    keys = ["fit.lr=0.005", "fit.schedule='cosine'", "inr.init_scale=1.5", "fit.stop_psnr=40.0"]
    by_hand = [word for key in keys for word in ("--set", key)]
    code, _, err = inrzoo("build", "digits", *words, *by_hand, "--out", tmp_path / "b.zarr")
    assert code == 0, err
    other = open_store(tmp_path / "b.zarr")
    assert store.info.fingerprint == other.info.fingerprint and (store.weights[:] == other.weights[:]).all()
    code, _, err = inrzoo("build", tmp_path / "a.zarr", "--recipe", "fast")
    assert code == 2 and "takes no --recipe" in err
