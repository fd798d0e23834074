"""The manifest weather on a globe whose fields are a formula."""

import numpy as np
import pytest
from small_fields import LEVELS, MONTHS, PACKED, globe, save

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.store import open_store

CHANGES = {"source.stride": 2, "values.unit": "K", "fit.engine": "reference"}


def test_smooth_fields_are_those_of_the_file_between_the_points_of_the_fit(tmp_path):
    """Packed into int16, on 25 × 48 points of which a quarter is fitted."""
    path = save(globe(25, 48)[["z"]], tmp_path / "waves.nc", **PACKED)
    settings = manifest.load("weather", None, CHANGES)
    build(settings, tmp_path / "weather.zarr", source=path, in_process=True, quiet=True)
    store = open_store(tmp_path / "weather.zarr")
    assert store.num_signals == len(MONTHS) * len(LEVELS) and store.info.manifest.values.unit == "K"
    held_out, mae = store.measures["held_out_psnr"][:, 0, -1], store.measures["mae"][:, 0, -1]
    print(held_out, mae, store.psnr[:, 0, -1])
    assert held_out.min() > 45
    # The error in K of a rendered pole and of a seam, where there is neither a pole nor a seam.
    limits = store.limits
    for signal in range(store.num_signals):
        points, values = (array[signal] for array in store.targets(slice(None)).held_out)
        rendered = store.render(signal, 0, -1, coords=points).numpy()
        unit = (limits[signal, 1] - limits[signal, 0]) / 2
        errors = np.abs(rendered - values) * unit
        assert errors.mean() == pytest.approx(mae[signal], rel=1e-3) and mae[signal] < 0.1
        assert errors[np.abs(points[:, 2]) > 0.99].mean() < 0.3
