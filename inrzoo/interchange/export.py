"""Exports a store as a folder of state dicts.

Shape letters: B INRs, P parameters of one INR.
"""

import json
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

import inrzoo
from inrzoo.errors import InrzooError
from inrzoo.interchange import sidecar, state_files
from inrzoo.interchange.naming import Namer, split_key
from inrzoo.interchange.state_dict_conventions import Convention, convention_called, require_expressible
from inrzoo.store import Store, open_store


def export_state_dicts(
    store_path: str | Path,
    out: Path,
    convention: str,
    seed: int | str | None = 0,
    step: int | None = None,
    prefix: str = "",
) -> int:
    """Write a store as one `.pth` per INR, with the splits as JSON, in the layout of a public reader.

    The folder is created complete or not at all. Paths in the splits file are relative to the folder: neural-graphs
    takes the folder as `dataset_dir`; run DWSNets inside the folder. ScaleGMN runs outside of it and opens the paths as
    they are listed, so they need a prefix, `data/mnist-inrs`, where the folder is put. nfn's readers need no splits
    file but the two `split_points` in `inrzoo.json`. nfn numbers INRs by their row in the store; its readers that fetch
    the original image need the rows of torchvision's train and test set in that order.

    Args:
        store_path: a complete store.
        out: the new folder.
        convention: `dws`, `nfn` or `sitzmann`.
        seed: number of the fit of each signal; `"all"` or None for all.
        step: step count of the snapshot; required if the store has several.
        prefix: beginning of the paths in the splits file.

    Returns:
        The number of INRs written.

    Raises:
        InrzooError: the layout cannot express the store (the message names the keys), the store is not finished, or
            `out` exists.
    """
    store, chosen = open_store(store_path), convention_called(convention)
    require_expressible(store, chosen)
    if not store.complete:
        raise InrzooError(f"{store_path} is not finished; run the same build again, then export")
    seeds, position = chosen_seeds(store, seed), chosen_snapshot(store, step)
    if out.exists() or out.is_symlink():
        raise InrzooError(f"{out} exists; give another --out")
    if "\n" in prefix or ".." in PurePosixPath(prefix).parts:
        raise InrzooError(f"--prefix {prefix!r} is not allowed; expected a path such as data/mnist-inrs")
    namer = Namer(store, convention, len(seeds) > 1)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        paths = _write(store, partial, chosen, namer, seeds, position)
        _write_splits(store, partial, namer, paths, prefix)
        write_sidecar(store, partial, chosen.name, seeds, position, paths[0])
        os.sync()  # a million small files: one call instead of one each
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return sum(path is not None for column in paths for path in column)


def chosen_seeds(store: Store, seed: int | str | None) -> list[int]:
    """Return the seeds that an option names.

    Raises:
        InrzooError: the store has no such seed.
    """
    if seed is None or seed == "all":
        return list(range(store.num_seeds))
    try:
        number = int(seed)
    except ValueError:
        number = -1
    if number not in range(store.num_seeds):
        raise InrzooError(f"no seed {seed} in {store.path}; there are 0 to {store.num_seeds - 1}, or all")
    return [number]


def chosen_snapshot(store: Store, step: int | None) -> int:
    """Return the index of the snapshot that an option names.

    Raises:
        InrzooError: the store has no such snapshot, or several and none is named.
    """
    counts = ", ".join(map(str, store.snapshots))
    if step is None and len(store.snapshots) > 1:
        raise InrzooError(f"{store.path} has the views {counts}; a state dict holds one: choose it with --step")
    if step is not None and step not in store.snapshots:
        raise InrzooError(f"no view of {step} steps in {store.path}; there are: {counts}")
    return 0 if step is None else store.snapshots.index(step)


def _write(
    store: Store, folder: Path, convention: Convention, namer: Namer, seeds: list[int], position: int
) -> list[list[str | None]]:
    """Write every finished INR. Return relative paths by seed and row; None for one that the store lacks."""
    pending = store.info.status_names.index("pending")
    paths: list[list[str | None]] = []
    for rank, seed in enumerate(seeds):
        absent_N = store.status[:, seed] == pending
        if absent_N.any() and not rank:
            raise InrzooError(
                f"seed {seed} of {store.path} lacks the INRs of {absent_N.sum()} signals; export another --seed"
            )
        column: list[str | None] = []
        for index in range(store.partition.num_blocks):
            rows = store.partition.rows(index)
            for row, weights_P in enumerate(store.weights[rows, seed, position], start=rows.start):
                if absent_N[row]:
                    column.append(None)
                    continue
                if not np.isfinite(weights_P).all():
                    raise InrzooError(
                        f"signal {row} of seed {seed} in {store.path} diverged to weights that are not finite, "
                        "which readers cannot use: export another --seed"
                    )
                name = namer.path(row, seed, rank)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                state_files.write(folder / name, weights_P, store.layout, convention)
                column.append(str(name))
        paths.append(column)
    return paths


def _write_splits(store: Store, folder: Path, namer: Namer, paths: list[list[str | None]], prefix: str) -> None:
    label = next(iter(store.labels.values()))
    splits: dict[str, dict[str, list[Any]]] = {}
    names = store.info.split_names
    for code, name in enumerate(names):
        listed = [
            (path, int(label[row]))
            for column in paths
            for row, path in enumerate(column)
            if path and store.split[row] == code
        ]
        splits[split_key(name, names)] = {
            "path": [str(PurePosixPath(prefix, path)) for path, _ in listed],
            "label": [code for _, code in listed],
        }
    (folder / namer.splits_file).write_text(json.dumps(splits))


def write_sidecar(
    store: Store,
    folder: Path,
    convention: str,
    seeds: list[int],
    position: int,
    paths: list[str | None],
    value_range: list[float] | None = None,
) -> None:
    """Write `inrzoo.json` into the folder of an export; see `Sidecar` for its contents.

    Args:
        position: index of the snapshot.
        paths: first file of each signal.
        value_range: range of the values, if the convention does not say it.
    """
    info, manifest = store.info, store.info.manifest
    starts = np.searchsorted(store.split, range(len(info.split_names)))
    sidecar.Sidecar(
        format=sidecar.FORMAT,
        inrzoo=inrzoo.__version__,
        convention=convention,
        dataset=info.dataset,
        fingerprint=info.fingerprint,
        grid=list(info.grid),
        inr=info.inr,
        title=manifest.title,
        licence=manifest.licence,
        citation=manifest.citation,
        init=manifest.init,
        step=store.snapshots[position],
        seeds=seeds,
        split_names=list(info.split_names),
        label_columns=list(info.label_columns),
        label_names={name: list(names) for name, names in info.label_names.items()},
        labels={column: codes.tolist() for column, codes in store.labels.items()},
        signal_ids=store.signal_ids,
        paths=[str(path) for path in paths],
        split_points=[int(start) for start in starts[1:]],
        value_range=value_range,
    ).write(folder)
