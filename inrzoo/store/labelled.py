"""What the arrays of a store mean, in the words of the CF conventions, and the store as a labelled dataset of xarray.

CF: Climate and Forecast metadata conventions 1.11, Secs. 3.1 (units), 3.2 (long names), 3.5 (flags), 5 (coordinates).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from inrzoo.extras import require
from inrzoo.store.blocks import COLUMNS, MEASURE_PREFIX
from inrzoo.store.checks import guarded
from inrzoo.store.info import ROUNDING_MEASURES, StoreInfo
from inrzoo.store.names import label_arrays

if TYPE_CHECKING:
    import xarray

    from inrzoo.store.reader import Store

LONG_NAMES = {
    "weights": "weights of the INR, one flat vector in the order of the layout",
    "psnr": "peak signal-to-noise ratio at the snapshot",
    "loss": "loss at the snapshot, on the value scale",
    "steps": "optimiser steps really taken",
    "status": "how the fit ended",
    "out_of_band": "share of spectral energy above the Nyquist frequency of the grid",
    "max_frequency": "frequency bound in radians per coordinate unit",
    "exact": "share of the signal's values that the INR gives back",
    "psnr_lost": "peak signal-to-noise ratio lost by rounding the weights",
    "rounding_psnr": "peak signal-to-noise ratio of the rounded INR beside the fitted one",
    "split": "split of the signal",
    "signal_id": "where the signal came from",
}
UNITS = {"psnr": "dB", "max_frequency": "rad", "snr": "dB", "held_out_psnr": "dB", "iou": "1"}
UNITS |= dict.fromkeys(ROUNDING_MEASURES, "dB")
"""Units of columns and measures; other measures are in the unit of the signals' numbers, other columns have none."""


def array_attributes(info: StoreInfo) -> dict[str, dict[str, Any]]:
    """Attributes of a store's arrays, as plain data: long names, units, flags, and which arrays are coordinates."""
    labels = label_arrays(info.label_columns)
    described: dict[str, dict[str, Any]] = {name: {"long_name": words} for name, words in LONG_NAMES.items()}
    for name, column in zip(labels, info.label_columns, strict=True):
        described[name] = {"long_name": column}
    for name in info.measures:
        unit = UNITS.get(name, info.manifest.values.unit or "1")
        words = LONG_NAMES.get(name, f"{name} at the snapshot")
        described[f"{MEASURE_PREFIX}{name}"] = {"long_name": words, "units": unit}
    for name in COLUMNS:
        if name != "status":
            described[name]["units"] = UNITS.get(name, "1")
    described["status"] |= _flags(info.status_names)
    described["split"] |= _flags(info.split_names)
    coordinates = " ".join(["signal_id", *labels, "split"])
    for name in ("weights", *COLUMNS, *(f"{MEASURE_PREFIX}{name}" for name in info.measures)):
        described[name]["coordinates"] = coordinates
    return described


def to_xarray(store: Store) -> xarray.Dataset:
    """The store as an xarray dataset (lazy, through dask), published seeds only; pending INRs are NaN.

    Coordinates: `step` (step counts of the snapshots), `seed`, and along the signals `signal_id`, `split`, `label` and
    further label columns. Codes have `flag_values` and `flag_meanings`, numbers `units`.

    Raises:
        InrzooError: the arrays contradict each other.

    Example:
        >>> ds = inrzoo.open_store("digits.zarr").to_xarray()
        >>> ds.sel(step=ds.step[-1]).psnr.groupby("label").mean("signal").dims
        ('label', 'seed')
        >>> ds.psnr.units, ds.status.flag_meanings
        ('dB', 'pending ok early_stop diverged')
    """
    require("build", "to_xarray", "dask", "xarray")
    import xarray

    return guarded(store.location, "its arrays as one dataset", lambda: _labelled(xarray, store))


def _labelled(xarray: Any, store: Store) -> xarray.Dataset:
    opened = xarray.open_dataset(xarray.backends.ZarrStore(store._group), engine="store", chunks={})
    described = array_attributes(store.info)
    arrays = dict(zip(label_arrays(store.info.label_columns), store.info.label_columns, strict=True))
    for name, column in arrays.items():
        described[name] |= _flags(store.info.label_names[column])
    # Few numbers, and xarray groups by codes in memory alone.
    codes = {**{name: store.labels[column] for name, column in arrays.items()}, "split": store.split}
    opened = opened.assign_coords(
        {name: ("signal", values) for name, values in codes.items()}
        | {
            "seed": ("seed", np.arange(opened.sizes["seed"]), {"long_name": "number of the fit of the signal"}),
            "step": ("step", np.array(store.snapshots), {"long_name": "optimiser steps of the snapshot", "units": "1"}),
        }
    ).set_coords("signal_id")
    codec = store.info.codec
    if codec.dtype != "float32":
        stored, steps = opened["weights"].data, len(store.snapshots)
        chunks = (*stored.chunks[:2], (steps,), (store.layout.num_params,))
        decoded = stored.rechunk({2: -1, 3: -1}).map_blocks(codec.decode, dtype=np.float32, chunks=chunks)
        opened["weights"] = (("signal", "seed", "step", "param"), decoded)
    for name, known in described.items():
        if name in opened.variables:
            flags = {key: np.array(known[key], opened[name].dtype) for key in ("flag_values",) if key in known}
            opened[name].attrs |= {key: value for key, value in {**known, **flags}.items() if key != "coordinates"}
    return opened


def _flags(names: Sequence[str]) -> dict[str, Any]:
    """Codes and their meanings; CF separates these by blanks."""
    return {"flag_values": list(range(len(names))), "flag_meanings": " ".join("_".join(name.split()) for name in names)}
