"""INRs on grids of another extent than [-1, 1]."""

from pathlib import Path

import numpy as np
import pytest
from tiny_store import small, tiny

from inrzoo.builder import build
from inrzoo.coords import grid, nyquist
from inrzoo.errors import InrzooError
from inrzoo.fit.frequencies import FINER
from inrzoo.fit.spectrum import out_of_band
from inrzoo.hub import tables
from inrzoo.interchange import export_state_dicts
from inrzoo.refit import refit
from inrzoo.store import open_store
from inrzoo.verify import verify


@pytest.mark.parametrize("engine", ["reference", "fused"])
def test_a_store_of_another_extent_is_read_where_it_was_fitted(engine: str, tmp_path: Path) -> None:
    """Grid, fits again, errors, spectrum and card all know the extent."""
    out = tmp_path / "store.zarr"
    build(small(fit__engine=engine, coords__extent=4.0), out, in_process=True, quiet=True)
    store = open_store(out)
    assert verify(out).problems == []
    assert [one.bit_equal for one in refit(out, 3, draw=0).refits] == [True] * 3
    assert np.array_equal(store.coords(), 4 * grid(store.info.grid))
    assert "at -4 and 4" in tables.conventions(store)
    drawn = store.render(slice(0, 2), 0, coords=store.coords(FINER))
    share = out_of_band(drawn, store.info.grid, "end_points", FINER)
    assert np.allclose(store.out_of_band[:2, 0, 0], share, rtol=1e-4)
    elsewhere = out_of_band(store.render(slice(0, 2), 0, coords=grid(store.info.grid, finer=FINER)), store.info.grid)
    assert not np.allclose(elsewhere, share, rtol=0.1)


def test_frequencies_are_a_quarter_on_a_grid_of_four_times_the_extent() -> None:
    assert np.array_equal(nyquist((8, 6), extent=4.0), nyquist((8, 6)) / 4)
    assert np.array_equal(grid((8, 6), "pixel_centres", "x_y", 4.0), 4 * grid((8, 6), "pixel_centres", "x_y"))


def test_readers_that_know_no_extent_get_no_such_inrs(tmp_path: Path) -> None:
    build(small(coords__extent=2.0), tmp_path / "store.zarr", in_process=True, quiet=True)
    with pytest.raises(InrzooError, match=r"coords\.extent: 2\.0 → 1\.0"):
        export_state_dicts(tmp_path / "store.zarr", tmp_path / "dicts", "nfn", "0")


@pytest.mark.parametrize("extent", [0.0, -1.0, float("inf"), float("nan")])
def test_an_impossible_extent_is_refused(extent: float) -> None:
    with pytest.raises(InrzooError, match=r"coords\.extent = .* is not allowed; it must be above 0"):
        tiny(coords__extent=extent)
