"""Exports a store as HDF5 files that fit-a-nef and Neural Field Arena read.

Shape letters: N signals, P parameters of one INR.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.inrs import INR
from inrzoo.interchange import flax_tensors
from inrzoo.interchange.arena_settings import CONVENTION
from inrzoo.interchange.export import chosen_seeds, chosen_snapshot, write_sidecar
from inrzoo.store import Store, open_store

MODELS = {name: model for model, name in flax_tensors.NAMES.items()}
"""fit-a-nef's names of our INRs."""
ROWS_AT_ONCE = 4096


def export_fit_a_nef(store_path: str | Path, out: Path, seed: int | str | None = "all", step: int | None = None) -> int:
    """Write a store as a folder of `nefs_FIRST-END.hdf5`, one file a seed, with `nef.json`.

    The folder is created complete or not at all. Fields are numbered by seed and row of the store, as fit-a-nef numbers
    them; `inrzoo.json` has what its files lack, so that an import is the store again.

    Args:
        store_path: a complete store.
        out: the new folder.
        seed: number of the fit of each signal; `"all"` or None for all.
        step: step count of the snapshot; required if the store has several.

    Returns:
        The number of INRs written.

    Raises:
        InrzooError: fit-a-nef has no such fields (the message names the settings), the store is not finished or lacks
            INRs, or `out` exists.
        MissingPackageError: h5py is not installed.
    """
    with needed("hdf5", "writing HDF5 files"):
        import h5py
    store = open_store(store_path)
    model = require_expressible(store)
    if not store.complete:
        raise InrzooError(f"{store_path} is not finished; run the same build again, then export")
    seeds, snapshot = chosen_seeds(store, seed), chosen_snapshot(store, step)
    if out.exists() or out.is_symlink():
        raise InrzooError(f"{out} exists; give another --out")
    inr: INR = registry.make("inrs", store.info.inr)
    config = flax_tensors.config_of(inr, model)
    order_P = np.argsort(flax_tensors.positions(inr, model, config))  # the inverse: theirs = ours[order]
    labels = next(iter(store.labels.values()))
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for rank, number in enumerate(seeds):
            first = rank * store.num_signals
            path = partial / f"nefs_{first}-{first + store.num_signals}.hdf5"
            with h5py.File(path, "w") as file:
                params = file.create_dataset("params", (store.num_signals, len(order_P)), dtype="f4")
                for start in range(0, store.num_signals, ROWS_AT_ONCE):
                    rows = slice(start, min(start + ROWS_AT_ONCE, store.num_signals))
                    params[rows] = _finished(store, rows, number, snapshot)[:, order_P]
                text = file.create_dataset("param_config", (1,), dtype=h5py.string_dtype())
                text[0] = json.dumps(config)
                file.create_dataset("labels", data=np.asarray(labels, dtype=np.int64))
        (partial / "nef.json").write_text(json.dumps({"name": model, "params": _settings(inr, model)}))
        paths: list[str | None] = [str(row) for row in range(store.num_signals)]
        write_sidecar(store, partial, CONVENTION, seeds, snapshot, paths, list(store.value_range))
        os.sync()
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return len(seeds) * store.num_signals


def require_expressible(store: Store) -> str:
    """Return fit-a-nef's model of a store's INRs.

    Raises:
        InrzooError: its fields would be other functions; the message names the settings.
    """
    info, inr = store.info, registry.make("inrs", store.info.inr)
    name = info.inr["name"]
    if name not in MODELS:
        raise InrzooError(f"{store.path} holds INRs of the kind {name}; fit-a-nef has {', '.join(MODELS)}")
    pairs: dict[str, tuple[Any, Any]] = {}
    if name == "siren":
        pairs["inr.bias_inside"] = (inr.bias_inside, True)
        pairs["inr.output_offset"] = (inr.output_offset, 0.0)
        pairs["the factors ω of its sine layers"] = (
            ", ".join(f"{omega:g}" for omega in {*inr.omegas}),
            f"{inr.omega_0:g}",
        )
    elif name == "relu_mlp":
        pairs["inr.encoding"] = (inr.encoding, "none")
    coords = info.manifest.coords
    pairs["coords.spacing"] = (coords.spacing, "end_points")
    pairs["coords.extent"] = (coords.extent, 1.0)
    if inr.in_features == 2:
        pairs["coords.axis_order"] = (coords.axis_order, "x_y")
    lines = [f"{key}: {ours} → {theirs}" for key, (ours, theirs) in pairs.items() if ours != theirs]
    if lines:
        raise InrzooError(
            f"{store.path} cannot be exported for fit-a-nef, which would evaluate other functions "
            f"({'; '.join(lines)}); build a store with those settings"
        )
    return MODELS[name]


def _settings(inr: Any, model: str) -> dict[str, Any]:
    """The fields of fit-a-nef's model (config/nef.py)."""
    settings: dict[str, Any] = {"hidden_dim": inr.hidden_features, "output_dim": inr.out_features}
    if model == "FourierNet":
        return {**settings, "num_filters": inr.num_filters}
    settings["num_layers"] = inr.hidden_layers + (2 if model == "SIREN" else 1)  # an MLP's do not count the last
    return {**settings, "omega_0": inr.omega_0} if model == "SIREN" else settings


def _finished(store: Store, rows: slice, seed: int, snapshot: int) -> NDArray[np.float32]:
    """Return the weights of some rows, (B, P), all of them finished and finite."""
    pending = store.info.status_names.index("pending")
    if (store.status[rows, seed] == pending).any():
        raise InrzooError(
            f"seed {seed} of {store.path} lacks INRs, which the rows of HDF5 cannot; export another --seed"
        )
    weights_BP: NDArray[np.float32] = store.weights[rows, seed, snapshot]
    bad = np.flatnonzero(~np.isfinite(weights_BP).all(axis=1))
    if len(bad):
        raise InrzooError(
            f"signal {rows.start + bad[0]} of seed {seed} in {store.path} diverged to weights that are not finite, "
            "which readers cannot use: export another --seed"
        )
    return weights_BP
