"""Builds with schedules and subsets of coordinates are as exact as all others."""

from pathlib import Path

import numpy as np
import pytest
from processes import committed, complete, kill, start, wait_until
from tiny_store import store_bytes, tiny

from inrzoo.builder import build
from inrzoo.builder.worker import subset_keys
from inrzoo.errors import InrzooError
from inrzoo.manifest import NOT_IN_FINGERPRINT, differences, fingerprint
from inrzoo.refit import refit
from inrzoo.store import open_store

FEATURES = {
    "fit__schedule": "cosine",
    "fit__warm_up": 5,
    "fit__weight_decay": 0.5,
    "fit__max_grad_norm": 1.0,
    "fit__lr_per_tensor": "spread",
    "fit__num_coords": 20,
    "fit__evaluate_every": 7,
    "fit__stop_psnr": None,
    "inr__init_scale": 1.5,
}


def featured(engine: str, **changes: object):
    return tiny(**{**FEATURES, "fit__engine": engine, **changes})


@pytest.fixture(scope="module", params=["fused", "reference"])
def whole(request, tmp_path_factory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("whole") / "store.zarr"
    build(featured(request.param), out, in_process=True, quiet=True)
    return request.param, out


def test_a_build_continued_and_one_with_more_seeds_are_the_same_bytes(whole: tuple[str, Path], tmp_path: Path) -> None:
    engine, reference = whole
    out = tmp_path / "store.zarr"
    build(featured(engine, seeds=1), out, in_process=True, quiet=True)
    build(featured(engine), out, workers=1, quiet=True)
    weights = {name: digest for name, digest in store_bytes(out).items() if not name.endswith("zarr.json")}
    expected = {name: digest for name, digest in store_bytes(reference).items() if not name.endswith("zarr.json")}
    assert weights == expected


def test_a_refit_gives_the_bits(whole: tuple[str, Path]) -> None:
    """Any INRs, in batches that begin where those of the build did."""
    again = refit(whole[1], 6, draw=0)
    assert again.elsewhere == [] and [one.bit_equal for one in again.refits] == [True] * 6


def test_each_inr_has_draws_of_its_own(whole: tuple[str, Path]) -> None:
    """They are keyed by the seed and the signal, not by the place in a block."""
    store = open_store(whole[1])
    first = subset_keys(store.settings, 0, store.signal_ids[:8])
    assert len({*first, *subset_keys(store.settings, 1, store.signal_ids[:8])}) == 16
    assert np.array_equal(first[3:], subset_keys(store.settings, 0, store.signal_ids[3:8]))
    assert (store.steps[:, :, -1] == 40).all()


@pytest.mark.parametrize(
    "engine",
    [pytest.param("fused", marks=pytest.mark.slow), pytest.param("reference", marks=pytest.mark.exhaustive)],
)
def test_two_workers_and_a_killed_build(engine: str, tmp_path: Path) -> None:
    settings = {"engine": engine, "steps": 20_000 if engine == "fused" else 400}
    words = [
        word
        for key, value in FEATURES.items()
        if value is not None
        for word in ("--set", f"{key.replace('__', '.')}={value!r}")
    ]
    complete(tmp_path / "whole.zarr", "--in-process", *words, **settings)
    out = tmp_path / "store.zarr"
    process = start(out, "--in-process", *words, **settings)
    wait_until(lambda: committed(out) >= 1, process)
    kill(process)
    complete(out, "--workers", "2", *words, **settings)
    assert store_bytes(out) == store_bytes(tmp_path / "whole.zarr")


def test_stores_of_earlier_versions_are_continued() -> None:
    """Their manifests lack the keys; new ones with the values of before have the same fingerprint."""
    tables = tiny().to_json()
    old = {key: value for key, value in tables.items() if key != "recipe"}
    for table, keys in (
        ("fit", ("schedule", "warm_up", "num_coords", "weight_decay")),
        ("inr", ("init_scale", "omega_hidden")),
    ):
        old[table] = {key: value for key, value in tables[table].items() if key not in keys}
    assert fingerprint(old, "") == fingerprint(tables, "") and differences(old, tables) == []
    assert "recipe" in NOT_IN_FINGERPRINT
    for changed in (tiny(fit__schedule="cosine"), tiny(inr__init_scale=2.0), tiny(fit__num_coords=5)):
        assert (
            fingerprint(changed.to_json(), "") != fingerprint(old, "") and len(differences(old, changed.to_json())) == 1
        )


@pytest.mark.parametrize(
    "key, value, allowed",
    [
        ("final_lr_factor", 2.0, "from 0 to 1"),
        ("warm_up", 40, "below fit.steps = 40"),
        ("weight_decay", -1.0, "0 or more"),
        ("max_grad_norm", 0.0, "above 0"),
        ("num_coords", 0, "at least 1"),
        ("evaluate_every", 0, "at least 1"),
        ("schedule", "step", "cosine"),
    ],
)
def test_settings_that_no_fit_has(key: str, value: object, allowed: str) -> None:

    with pytest.raises(InrzooError) as error:
        tiny(**{f"fit__{key}": value})
    assert f"fit.{key}" in str(error.value) and allowed in str(error.value) and "\n" not in str(error.value)
