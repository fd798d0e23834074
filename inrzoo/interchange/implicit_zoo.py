"""Implicit-Zoo's sets: one checkpoint a fit, `ckpts/LABEL/IMAGE_SEED.ckpt`, and a JSON of PSNRs, `START_END.json`.

From qimaqi/Implicit-Zoo experiments/generate_cifar_dataset_siren.py and src/model_zoo/siren.py; see
docs/derivations/published_sets.md#implicit-zoo.

Shape letters: N signals, S seeds, P parameters of one INR.
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.interchange import state_files
from inrzoo.interchange.incoming import FileEach, ImageKey, IncomingSet, Options, codes_of
from inrzoo.interchange.reading import reading_of
from inrzoo.interchange.state_dict_conventions import IMPLICIT_ZOO
from inrzoo.store.files import sha256

CHECKPOINTS = "ckpts"
ORDER = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
"""Names of folders of parts, in order, and our names of their splits."""
PSNR = "published_psnr"
"""Column of the PSNRs in the JSON: in dB, over values in [0, 1]."""
_FILE = re.compile(r"(?P<image>\d{1,9})_(?P<seed>\d{1,9})\.ckpt")
_JSON = re.compile(r"(?P<start>\d{1,9})_(?P<end>\d{1,9})\.json")


@dataclass
class _Image:
    """One image: its part, number and label, its files by seed, and the PSNR in the JSON."""

    part: str
    number: int
    label: str
    files: dict[int, Path] = field(default_factory=dict)
    psnr: float = math.nan


def parts_of(folder: Path) -> dict[str, Path]:
    """Return the folders that have `ckpts`, by the name of their part: the folder itself is the training part."""
    if (folder / CHECKPOINTS).is_dir():
        return {"train": folder}
    return {name: folder / name for name in ORDER if (folder / name / CHECKPOINTS).is_dir()}


def read_folder(folder: Path, options: Options) -> IncomingSet:
    """List the checkpoints of a folder, and read the shapes of the tensors in the first.

    Raises:
        InrzooError: a name, the JSON, the first checkpoint or an option is wrong.
    """
    images: list[_Image] = []
    lists: dict[str, str] = {}
    for part, home in parts_of(folder).items():
        images += _images(home, part, lists)
    if not images:
        raise InrzooError(f"{folder} has no checkpoint like {CHECKPOINTS}/03/000017_0000042.ckpt")
    split, split_names = _split(images, options.split_points)
    order = np.argsort(split, kind="stable")
    images, split = [images[row] for row in order], split[order]
    files = FileEach([image.files for image in images])
    first = images[0].files[min(images[0].files)]
    where = str(first.relative_to(folder))
    tensors = _tensors(first.read_bytes(), where)
    try:
        shapes = state_files.shapes_of(tensors)
        convention, meaning = reading_of(shapes, None, _as_implicit_zoo(options))
    except InrzooError as error:
        raise InrzooError(f"{where}: {error}") from None
    said_by = meaning.said_by if options.convention else {**meaning.said_by, "convention": f"the folder {CHECKPOINTS}"}
    inr: INR = registry.make("inrs", meaning.spec)
    codes, names = codes_of(image.label for image in images)
    psnr_N = np.array([image.psnr for image in images])

    def vector(row: int, path: Path) -> tuple[NDArray[np.float32], bytes]:
        content, called = path.read_bytes(), str(path.relative_to(folder))
        try:
            params_P = state_files.flat(_tensors(content, called), shapes, inr.layout, convention)
        except InrzooError as error:
            raise InrzooError(str(error) if called in str(error) else f"{called}: {error}") from None
        return params_P, hashlib.sha256(content).digest()

    keys: list[ImageKey] = [("test" if image.part == "test" else "train", image.number) for image in images]
    return IncomingSet(
        source=folder,
        format="checkpoints",
        convention=convention.name,
        meaning=replace(meaning, said_by=said_by),
        names=[str(image.files[min(image.files)].relative_to(folder)) for image in images],
        ids=[f"{image.part}/{image.number:06d}" for image in images],
        keys=keys,
        split=split,
        split_names=split_names,
        labels={"class": codes},
        label_names={"class": names},
        fits=files.fits,
        read=partial(files.read, vector),
        lists=lists,
        numbers={PSNR: psnr_N} if np.isfinite(psnr_N).any() else {},
    )


def _as_implicit_zoo(options: Options) -> Options:
    return Options(convention=IMPLICIT_ZOO.name, inr=options.inr, coords=options.coords)


def _images(home: Path, part: str, lists: dict[str, str]) -> list[_Image]:
    """List the images of a part by number, from its file names and its JSON."""
    start, psnr_of = _psnrs(home, lists)
    found: dict[int, _Image] = {}
    files: dict[int, list[tuple[int, Path]]] = {}
    for path in sorted((home / CHECKPOINTS).glob("*/*.ckpt")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise InrzooError(f"{path} is not named like 000017_0000042.ckpt: number of the image and of the seed")
        if not path.resolve().is_relative_to(home.resolve()):
            raise InrzooError(f"{path} is a link to outside; copy the file there")
        index = int(match["image"])
        image = found.setdefault(index, _Image(part, start + index, path.parent.name))
        if image.label != path.parent.name:
            raise InrzooError(f"{path} has label {path.parent.name}, another file of image {index} {image.label}")
        files.setdefault(index, []).append((int(match["seed"]), path))
    fixed = len({seed for listed in files.values() for seed, _ in listed}) == 1
    for index, listed in files.items():
        for seed, path in listed:  # with random seeds their name is the image's number plus the seed's
            copy = 0 if fixed else seed - index
            if copy < 0 or copy > 2**16 or copy in found[index].files:
                raise InrzooError(
                    f"{path}: seed {seed} of image {index} is neither the seed of all nor counted from it"
                )
            found[index].files[copy] = path
    if psnr_of is not None:
        absent = sorted(psnr_of.keys() - found.keys())
        if absent:
            raise InrzooError(f"{home} has no checkpoint of image {absent[0]}, which its JSON lists")
        for index, image in found.items():
            image.psnr = psnr_of.get(index, math.nan)
    return [found[index] for index in sorted(found)]


def _psnrs(home: Path, lists: dict[str, str]) -> tuple[int, dict[int, float] | None]:
    """Return the number of the first image in the dataset, and the PSNR of each image by its number here."""
    named = [(path, match) for path in sorted(home.glob("*.json")) if (match := _JSON.fullmatch(path.name))]
    if len(named) > 1:
        listed = ", ".join(path.name for path, _ in named)
        raise InrzooError(f"{home} has several lists of PSNRs: {listed}; keep that of these checkpoints")
    if not named:
        return 0, None
    path, match = named[0]
    try:
        table: Any = json.loads(path.read_text(encoding="utf-8"))
        psnr_of = {int(key): float(value) for key, value in table.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        raise InrzooError(f"{path} is not a table of a PSNR for each image") from None
    lists[f"{home.name}/{path.name}"] = sha256(path)
    return int(match["start"]), psnr_of


def _split(images: list[_Image], points: tuple[int, ...] | None) -> tuple[NDArray[np.uint8], list[str]]:
    if points is None:
        ours = {ORDER[image.part] for image in images}
        names = [name for name in dict.fromkeys(ORDER.values()) if name in ours]
        return np.array([names.index(ORDER[image.part]) for image in images], dtype=np.uint8), names
    if len(points) != 2 or not 0 <= points[0] <= points[1]:
        raise InrzooError(f"--split-points {','.join(map(str, points))} is not allowed; expected two, such as 800,900")
    if len({image.part for image in images}) > 1:
        raise InrzooError("its folders define the splits; leave --split-points out")
    numbers = np.array([image.number for image in images])
    return np.searchsorted(np.array(points), numbers, side="right").astype(np.uint8), ["train", "validation", "test"]


def _tensors(content: bytes, where: str) -> dict[str, Tensor]:
    """Return the tensors in a checkpoint: `{"image_idx": …, "params": state dict}`."""
    state = state_files.load(content, where)
    params = state.get("params")
    if not isinstance(params, dict) or not all(isinstance(key, str) for key in params):
        raise InrzooError(f"{where} has no state dict `params`, as a checkpoint of Implicit-Zoo has")
    index, named = state.get("image_idx"), _FILE.fullmatch(Path(where).name)
    if named is not None and index is not None and index != int(named["image"]):
        raise InrzooError(f"{where} has image {index!r} inside")
    return state_files.dense_tensors(params, len(content), where)
