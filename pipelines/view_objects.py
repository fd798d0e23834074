"""The objects in posed views that the scripts of novel views share."""

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from script import SCALE, folders, source

from inrzoo import manifest
from inrzoo.tasks import UnfittedDataset
from inrzoo.tasks.signals import signal_set

OUT, DOCUMENT = folders("out/novel_views", "docs/novel_views.md")
SIZE = {"tiny": 8, "small": 32, "full": 128}[SCALE]
SAMPLES = {"tiny": 4, "small": 32, "full": 128}[SCALE]
OBSERVATION = {"samples": SAMPLES, "density": "softplus", "density_scale": 10.0, "density_shift": 0.0}
VALIDATION = 1 if SCALE == "tiny" else 64  # of the renderings' training objects
FITTED, HELD_OUT = 25, 6
"""Views of an object of renderings: the first ones, as in TransINR's code, and of the others, or else of these, those
that are measured."""


def objects() -> dict[str, UnfittedDataset]:
    """The objects: renderings or meshes that the environment names, or else balls.

    Returns:
        What one network learns, by name: of renderings one class, as in the papers; of the few meshes all classes.
    """
    renderings, meshes = source("shapenet"), source("furniture_views")
    chosen = os.environ.get("INRZOO_CLASSES")
    views = {"source.size": SIZE, **{f"observation.{key}": value for key, value in OBSERVATION.items()}}
    if renderings:
        counts = {"num_views": FITTED - HELD_OUT, "num_held_out": HELD_OUT, "num_validation": VALIDATION}
        # Cameras are 4 away from objects that fit into this cube; pictures without an object are left out.
        views |= {f"source.{key}": value for key, value in (counts | {"box": 1.5, "skip_unreadable": True}).items()}
        wanted = manifest.load("nerf_synthetic", overrides=views)
        classes = (chosen or "chairs,cars,lamps").split(",")
        return {name: UnfittedDataset(wanted, scenes(renderings, name)) for name in classes}
    if meshes:
        wanted = manifest.load("furniture_views", overrides=views | {"source.num_validation": 12})
        return {"furniture": UnfittedDataset(wanted, of_classes(meshes, (chosen or "chair,cabinet,table").split(",")))}
    counts = {"num_signals": 12 if SCALE == "tiny" else 240, "num_validation": 3, "num_test": 3}
    wanted = manifest.load("balls", overrides=views | {f"source.{key}": value for key, value in counts.items()})
    return {"balls": UnfittedDataset(wanted)}


def classes(datasets: dict[str, UnfittedDataset]) -> dict[str, tuple[str, torch.Tensor]]:
    """Name of a class -> the name of its dataset, and its rows among the test objects."""
    found: dict[str, tuple[str, torch.Tensor]] = {}
    for key, data in datasets.items():
        signals = signal_set(data, "test")
        ((column, names),) = signals.label_names.items()
        for code, name in enumerate(names):
            rows = (signals.labels[column] == code).nonzero()[:, 0]
            if len(rows):
                found[key if len(names) == 1 else name] = (key, rows)
    return found


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which appears whole or not at all."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    part.replace(folder)


def of_classes(meshes: Path, names: list[str]) -> Path:
    """A folder with the meshes of some classes, CLASS/SPLIT/MESH, of a folder or archive of all."""
    folder = OUT / f"meshes-{'-'.join(names)}"
    if folder.exists():
        return folder
    with new_folder(folder) as part:
        if meshes.is_dir():
            for name in names:
                (found,) = (path for path in meshes.rglob(name) if path.is_dir())
                (part / name).symlink_to(found.resolve())
            return folder
        with zipfile.ZipFile(meshes) as archive:
            for member in archive.namelist():
                *above, file = Path(member).parts
                if file and (inside := {*names} & {*above}) and not member.endswith("/"):
                    target = part.joinpath(*above[above.index(inside.pop()) :], file)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(member))
    return folder


def scenes(renderings: Path, name: str) -> Path:
    """A folder SPLIT/SCENE in the layout of NeRF's scenes, which holds links to renderings in that of TransINR's code.

    There `chairs/OBJECT/transforms.json` has all frames of an object, whose pictures lie beside it, and
    `chair_splits.json` the objects of each split.
    """
    folder = OUT / "scenes" / name
    if folder.exists():
        return folder
    splits = json.loads((renderings / f"{name.removesuffix('s')}_splits.json").read_text())
    with new_folder(folder) as part:
        for split, identifiers in splits.items():
            for identifier in identifiers:
                place = renderings / name / identifier
                if not (place / "transforms.json").exists():
                    continue  # their code leaves such objects out, too
                table = json.loads((place / "transforms.json").read_text())
                frames = [
                    {**frame, "file_path": f"pictures/{Path(frame['file_path']).name}.png"} for frame in table["frames"]
                ]
                cut = FITTED if len(frames) >= FITTED + HELD_OUT else len(frames) - HELD_OUT
                scene = part / split / identifier
                scene.mkdir(parents=True)
                (scene / "pictures").symlink_to(place.resolve())
                for file, some in (("train", frames[:cut]), ("test", frames[cut:])):
                    (scene / f"transforms_{file}.json").write_text(json.dumps({**table, "frames": some}))
    return folder
