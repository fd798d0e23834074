"""Anti-aliasing through a whole build: what is asked for is done, recorded and can be made again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_store import tiny

from inrzoo.builder import build
from inrzoo.coords import nyquist
from inrzoo.errors import InrzooError
from inrzoo.refit import refit
from inrzoo.store import Store, open_store
from inrzoo.verify import verify

FILTERS = {
    "inr__name": "fourier_net",
    "inr__filter_init": "nyquist_fraction",
    "inr__nyquist_fraction": 2.0,
    "limit": 6,
}


def built(path: Path, **changes: object) -> Store:
    build(tiny(seeds=1, fit__stop_psnr=None, **FILTERS, **changes), path, in_process=True, quiet=True)
    assert verify(path).problems == [] and all(one.bit_equal for one in refit(path, 1).refits)
    return open_store(path)


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return built(tmp_path_factory.mktemp("free") / "free.zarr")


def test_projection_keeps_every_inr_below_nyquist_and_the_store_says_so(free: Store, tmp_path: Path) -> None:
    held = built(tmp_path / "held.zarr", antialias__regulariser="projection")
    limit = nyquist((8, 8))
    assert free.info.inr["nyquist"] == pytest.approx(limit.min())
    assert (free.max_frequency > limit).any() and (held.max_frequency <= limit + 1e-4).all()
    assert held.out_of_band.mean() < free.out_of_band.mean() / 5
    assert held.select(max_frequency=float(limit[0]) + 1e-4).all() and not free.select(max_frequency=1.0).any()


def test_a_penalty_lowers_the_bound(free: Store, tmp_path: Path) -> None:
    held = built(tmp_path / "held.zarr", antialias__weight=10.0)
    assert np.nanmean(held.max_frequency) < np.nanmean(free.max_frequency)
    assert held.settings.antialias.regulariser == "hinge"


def test_an_inr_without_a_bound_is_refused_before_anything_is_fitted(
    tmp_path: Path, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    with pytest.raises(InrzooError, match="fourier_net"):
        build(tiny(antialias__weight=1.0), tmp_path / "store.zarr", in_process=True, quiet=True)
    code, _, err = inrzoo("build", "digits", "--anti-alias", "much", "--out", tmp_path / "store.zarr")
    assert code == 2 and "--anti-alias much" in err and "projection" in err
    code, _, err = inrzoo("build", "digits", "--anti-alias", "projection", "--out", tmp_path / "store.zarr")
    assert code == 2 and "fourier_net" in err
    assert not list(tmp_path.iterdir())
