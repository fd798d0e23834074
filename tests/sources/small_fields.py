"""Fields by a formula in the files that their users have: a globe with poles, a seam and descending latitudes."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray

MONTHS, LEVELS = (1, 7), (200, 500, 850)
WAVES = np.random.default_rng(0).normal(size=(6, 3)) * 1.5
"""Wave vectors in radians per radius: low degrees, smooth over poles and seam."""


def on_sphere(latitudes: Any, longitudes: Any) -> np.ndarray:
    """Points (…, 3), float64, of a grid in degrees."""
    latitudes, longitudes = np.meshgrid(np.radians(latitudes), np.radians(longitudes), indexing="ij")
    level = np.cos(latitudes)
    return np.stack([level * np.cos(longitudes), level * np.sin(longitudes), np.sin(latitudes)], axis=-1)


def waves(points: np.ndarray, number: int) -> np.ndarray:
    """The field of a number at points (…, 3): from about -2 to 2."""
    phases = np.arange(len(WAVES)) * (1 + number)
    return np.sin(points @ WAVES.T + phases).sum(axis=-1) / 2


def globe(rows: int = 13, columns: int = 24, seam_twice: bool = False) -> xarray.Dataset:
    """`z` and `u` (month, level, latitude, longitude); the values are 280 + 10·waves, K; at a pole `u` has many."""
    latitudes = np.linspace(90, -90, rows).astype(np.float32)
    longitudes = np.arange(columns + seam_twice, dtype=np.float32) * (360 / columns) - 180
    points = on_sphere(latitudes, longitudes)
    fields = np.stack([280 + 10 * waves(points, number) for number in range(len(MONTHS) * len(LEVELS))])
    dims = ("month", "level", "latitude", "longitude")
    z = fields.reshape(len(MONTHS), len(LEVELS), rows, -1)
    east = np.sin(np.radians(longitudes)) * 10
    return xarray.Dataset(
        {"z": (dims, z, {"units": "K"}), "u": (dims, z + east, {"units": "m s**-1"})},
        coords={
            "month": ("month", np.array(MONTHS, dtype=np.int32)),
            "level": ("level", np.array(LEVELS, dtype=np.int32), {"units": "millibar"}),
            "latitude": ("latitude", latitudes, {"units": "degrees_north"}),
            "longitude": ("longitude", longitudes, {"units": "degrees_east"}),
        },
    )


def save(dataset: xarray.Dataset, path: Path, **encoding: Any) -> Path:
    """Write a NetCDF-3 file, whose numbers are big-endian."""
    dataset.to_netcdf(path, engine="scipy", encoding={name: {**encoding} for name in dataset.data_vars})
    return path


PACKED = {"dtype": "int16", "scale_factor": -0.001, "add_offset": 280.0, "_FillValue": np.int16(-32768)}
"""A negative scale, as in ERA-Interim's files."""
