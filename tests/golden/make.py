"""Makes the golden stores, each of them a zip beside this file. They were made once, by the version in their name.

    python tests/golden/make.py FOLDER

A golden store is never made again: tests open, verify, fit again, grow and train on those that are here, for ever.
`rounded` is of format 2, `latents` of format 3, all others of format 1.
`numba` was made as `siren` is, by version 0.2.0 with `"fit.engine": "numba"`, an engine that was removed.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import inrzoo
from inrzoo import manifest, registry, tasks
from inrzoo.builder import build
from inrzoo.interchange import export_state_dicts, import_state_dicts
from inrzoo.tasks import UnfittedDataset

COMMON = {"limit": 60, "seeds": 1, "fit.steps": 12, "fit.lr": 5e-3, "fit.engine": "fused", "inr.hidden_features": 4}
KINDS = {
    "siren": {},
    "fourier_net": {"inr.name": "fourier_net", "inr.num_filters": 2},
    "fixed_init": {"init.mode": "fixed", "seeds": 2},
    "views": {"fit.views": [4, 12], "seeds": 2},
    "rounded": {"weights": "int16", "compress": True},
}
HYPERNET = {"name": "learned_init", "inner_lr": 0.1}
INR = {"name": "siren", "hidden_features": 4, "hidden_layers": 1, "omega_0": 8.0}
FUNCTA = {"name": "functa"}
LATENT = {"name": "latent_siren", "latent_dim": 6, "hidden_features": 5, "hidden_layers": 1, "omega_0": 8.0}


def small(**changes: object) -> manifest.Manifest:
    """A manifest of a few digits with other keys."""
    overrides = {**COMMON, **changes}
    if "inr.name" in overrides:
        overrides.pop("fit.lr")
    return manifest.load("digits", overrides=overrides)


def make_all(home: Path) -> list[Path]:
    """Build every kind of store below `home`."""
    paths = []
    for name, changes in KINDS.items():
        build(small(**changes), home / f"{name}.zarr", in_process=True, quiet=True)
        paths.append(home / f"{name}.zarr")
    for name, hypernet, inr in (("hypernet", HYPERNET, INR), ("latents", FUNCTA, LATENT)):
        settings = {"hypernet": hypernet, "inr": inr, "batch": 2, "steps": 2, "validate_every": 2}
        run = home / f"{name}.run"
        tasks.train(
            registry.make("tasks", {"name": "hypernetwork", **settings}), UnfittedDataset(small()), run, quiet=True
        )
        changes = {"fit.engine": "reference"} if name == "latents" else {}
        build(small(**changes), home / f"{name}.zarr", fitter=run, tto=3, in_process=True, quiet=True)
    build(small(**{"inr.omega_0": 30.0}), home / "exportable.zarr", in_process=True, quiet=True)
    export_state_dicts(home / "exportable.zarr", home / "exported", "sitzmann", "0", None)
    import_state_dicts(home / "exported", home / "imported.zarr")
    return [*paths, home / "hypernet.zarr", home / "latents.zarr", home / "imported.zarr"]


def pack(store: Path, target: Path) -> None:
    """Pack a store into a zip with the same bytes every time."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(file for file in store.rglob("*") if file.is_file()):
            archive.writestr(zipfile.ZipInfo(f"{store.name}/{file.relative_to(store)}"), file.read_bytes())


def main() -> None:
    """See the top of the file."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        for store in make_all(Path(home)):
            pack(store, folder / f"{store.stem}-{inrzoo.__version__}.zip")


if __name__ == "__main__":
    main()
