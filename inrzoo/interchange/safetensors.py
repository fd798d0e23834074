"""Exports some INRs of a store to one safetensors file: tensors by their names in the layout, and metadata.

Of INRs that share a base its tensors are in the file too, once, by their names in the `base_layout`.

Shape letters: B INRs, P parameters of one INR.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from inrzoo.errors import InrzooError
from inrzoo.store import Store, open_store
from inrzoo.store.files import write_atomically


def export_safetensors(store_path: str | Path, out: Path, signals: str, seed: int = 0, step: int | None = None) -> int:
    """Write one INR, or those of a range of signals.

    Args:
        store_path: a store with these INRs.
        out: the new file.
        signals: `"7"` for one INR, whose tensors have the shapes of the layout; `"0:100"` for a range, whose tensors
            have a leading dimension B. Negative numbers count from the end, as in Python.
        seed: number of the fit of each signal.
        step: step count of the snapshot; the last one if None.

    Returns:
        The number of INRs written.

    Raises:
        InrzooError: a signal, seed or snapshot is absent, an INR is pending, or `out` exists.
    """
    store = open_store(store_path)
    if out.exists() or out.is_symlink():
        raise InrzooError(f"{out} exists; give another --out")
    index = _index(store, signals)
    if seed not in range(store.num_seeds):
        raise InrzooError(f"no seed {seed} in {store_path}; there are 0 to {store.num_seeds - 1}")
    if step is not None and step not in store.snapshots:
        raise InrzooError(f"no view of {step} steps in {store_path}; there are: {', '.join(map(str, store.snapshots))}")
    position = len(store.snapshots) - 1 if step is None else store.snapshots.index(step)
    rows = np.atleast_1d(np.arange(store.num_signals)[index])
    pending = rows[store.status[rows, seed] == store.info.status_names.index("pending")]
    if pending.size:
        raise InrzooError(f"{pending.size} of these INRs are not in {store_path} yet, the first is signal {pending[0]}")
    tensors = {**base_tensors(store), **store.layout.split(store.weights[index, seed, position])}
    facts = {
        **store.info.identity(store.formula),
        "signals": rows.tolist(),
        "seed": seed,
        "step": store.snapshots[position],
        "psnr": [float(value) for value in store.psnr[rows, seed, position]],
        "licence": store.info.manifest.licence,
    }
    metadata = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, save({name: np.ascontiguousarray(part) for name, part in tensors.items()}, metadata))
    return len(rows)


def base_tensors(store: Store) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of the base that the INRs of a store share, by name; none if they share none."""
    layout, base_Q = store.info.base_layout, store.base
    return {} if layout is None else dict(layout.split(base_Q))


def write_base(store: Store, out: Path) -> None:
    """Write the base that the INRs of a store share, as one safetensors file."""
    metadata = {key: json.dumps(value) for key, value in store.info.identity(store.formula).items()}
    tensors = {name: np.ascontiguousarray(part) for name, part in base_tensors(store).items()}
    write_atomically(out, save(tensors, metadata))


def _index(store: Store, signals: str) -> int | slice:
    try:
        bounds = [int(part) if part else None for part in signals.split(":")]
        index = slice(*bounds) if len(bounds) > 1 else int(signals)
        if np.atleast_1d(np.arange(store.num_signals)[index]).size:
            return index
    except (ValueError, TypeError, IndexError):
        pass
    raise InrzooError(
        f"no signal {signals} in {store.path}; one of 0 to {store.num_signals - 1}, or a range such as 0:100"
    )
