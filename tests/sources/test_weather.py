"""The manifest weather on a globe whose fields are a formula, with poles, a seam and descending latitudes."""

import numpy as np
import pytest
from small_fields import PACKED, globe, save

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.store import open_store

FILE = {"redistributable": True, "values.unit": "K", "limit": 2}
SMALL = {"hidden_features": 16, "omega_0": 5.0, "omega_hidden": 10.0}
FEW_STEPS = {"source.stride": 2, "fit.steps": 200, "fit.lr": 5e-3, "fit.engine": "reference"}


@pytest.mark.parametrize(
    ("size", "changes", "least"),
    [
        ((25, 48), {**FEW_STEPS, **{f"inr.{key}": value for key, value in SMALL.items()}}, 40),
        ((61, 120), {"source.stride": 3, "fit.engine": "fused"}, 45),  # the manifest's own INR and steps
    ],
)
def test_smooth_fields_are_right_between_the_points_of_the_fit(tmp_path, size, changes, least):
    path = save(globe(*size)[["z"]], tmp_path / "waves.nc", **PACKED)
    build(
        manifest.load("weather", None, {**FILE, **changes}),
        tmp_path / "weather.zarr",
        source=path,
        in_process=True,
        quiet=True,
    )
    store = open_store(tmp_path / "weather.zarr")
    assert store.info.manifest.values.unit == "K"
    held_out, mae = store.measures["held_out_psnr"][:, 0, -1], store.measures["mae"][:, 0, -1]
    assert held_out.min() > least, held_out
    points_BM3, values_BM1 = store.targets(slice(None)).held_out
    for signal, (low, high) in enumerate(store.limits):
        points = points_BM3[signal]
        rendered = store.render(signal, 0, -1, coords=points).numpy()
        errors = np.abs(rendered - values_BM1[signal])[:, 0] * (high - low) / 2  # K
        assert errors.mean() == pytest.approx(mae[signal], rel=1e-3) and errors.mean() < 0.2
        at_poles = np.abs(points[:, 2]) > 0.98
        at_seam = (points[:, 0] < 0) & (np.abs(points[:, 1]) < 0.1)
        assert errors[at_poles].mean() < 0.3 and errors[at_seam].mean() < 0.3
