"""INRs can be fitted again from what a store records."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_store import tiny

from inrzoo import refit as refitting
from inrzoo.builder import build, worker
from inrzoo.errors import InrzooError
from inrzoo.refit import refit
from inrzoo.store import open_store


@pytest.mark.parametrize("count", [12, pytest.param(96, marks=pytest.mark.slow, id="all")])
def test_inrs_are_fitted_again_to_the_bit(count: int, finished: Path) -> None:
    result = refit(finished, count)
    assert len(result.refits) == count and result.elsewhere == []
    assert all(one.bit_equal and one.passed and one.difference == 0 for one in result.refits)


def test_the_choice_is_random_and_can_be_repeated(finished: Path) -> None:
    chosen = [[(one.signal, one.seed) for one in refit(finished, 3, draw=draw).refits] for draw in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize(
    "changes", [{"init__mode": "fixed"}, {"fit__views": [5, 20], "fit__steps": 20}, {"redistributable": False}]
)
def test_other_kinds_of_store(changes: dict[str, object], tmp_path: Path) -> None:
    build(tiny(limit=6, seeds=1, **changes), tmp_path / "store.zarr", in_process=True, quiet=True)
    assert all(one.bit_equal for one in refit(tmp_path / "store.zarr", 4).refits)


def test_another_function_is_found(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "starts", lambda store, rows, seed: worker_starts(store, rows, seed + 1))
    result = refit(finished, 3, draw=0)
    assert not any(one.bit_equal or one.passed for one in result.refits)


worker_starts = worker.starts


def test_elsewhere_the_function_is_compared(
    finished: Path, monkeypatch: pytest.MonkeyPatch, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    """As on another processor: the last bits of the weights differ, the function hardly."""
    fit_rows = refitting.fit_rows

    def rounded(*arguments: object) -> object:
        weights, quality = fit_rows(*arguments)  # type: ignore[arg-type]
        return np.nextafter(weights, np.float32(np.inf)), quality

    monkeypatch.setattr(refitting, "fit_rows", rounded)
    assert not any(one.passed for one in refit(finished, 3, draw=0).refits)
    monkeypatch.setattr("torch.__version__", "9.9.9")
    result = refit(finished, 3, draw=0)
    assert all(one.passed and not one.bit_equal and 0 < one.difference < 1e-5 < one.allowed for one in result.refits)
    code, out, _ = inrzoo("verify", finished, "--refit", 2)
    assert code == 0 and "0 equal to the bit" in out and "another environment: torch" in out


def test_command(finished: Path, inrzoo: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = inrzoo("verify", finished, "--refit", 4)
    assert code == 0 and "4 INRs fitted again, 4 equal to the bit" in out
    code, out, _ = inrzoo("verify", finished, "--refit", 2, "--json")
    assert code == 0 and [one["bit_equal"] for one in json.loads(out)["refits"]] == [True, True]
    assert inrzoo("verify", finished, "--refit", 0)[0] == 2
    with pytest.raises(InrzooError):
        refit(finished, 0)


def test_select_by_quality(finished: Path) -> None:
    store = open_store(finished)
    chosen = store.select(min_psnr=17.0, split="train")
    expected = (store.psnr[:, :, 0] >= 17.0) & (store.split == 0)[:, None] & np.isin(store.status, [1, 2])
    np.testing.assert_array_equal(chosen, expected)
    assert 0 < chosen.sum() < chosen.size
    assert not store.select(max_frequency=1e9).any()  # a SIREN has no bound
    share = float(np.median(store.out_of_band))
    np.testing.assert_array_equal(store.select(max_out_of_band=share), store.out_of_band[:, :, 0] <= share)
    np.testing.assert_array_equal(store.select(max_steps=30, status=("early stop",)), store.steps[:, :, 0] <= 30)
    with pytest.raises(InrzooError, match="no split 'tset'"):
        store.select(split="tset")
