"""inr2vec's sets of shapes: one HDF5 file a SIREN, `SPLIT/NUMBER.h5`, with its weights in one vector.

From CVLAB-Unibo/inr2vec */create_inrs_dataset.py and utils.py; see docs/derivations/published_sets.md#inr2vec.

Shape letters: N signals, P parameters of one INR.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.interchange.hdf5 import Hdf5File
from inrzoo.interchange.incoming import Fits, IncomingSet, Meaning, OnFile, Options, meaning_of
from inrzoo.interchange.state_dict_conventions import OMEGA_0
from inrzoo.store.files import sha256

CONVENTIONS = {
    "inr2vec_udf": "unsigned distances from a cloud of points, logistic(f) = 1 − distance / 0.1",
    "inr2vec_sdf": "signed distances from a mesh, logistic(f) = (distance + 0.1) / 0.2",
    "inr2vec_occupancy": "occupied voxels, logistic(f) = occupancy",
}
"""Meaning of the value f of an INR, by kind of set."""
SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Names of folders of splits, in order, and our names of them."""
AXES, CHANNELS = 3, 1
_FILE = re.compile(r"\d{1,9}")


def files_of(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each split, by number."""
    found = {}
    for name, ours in SPLITS.items():
        files = [path for path in (folder / name).glob("*.h5") if _FILE.fullmatch(path.stem)]
        if files:
            found[ours] = sorted(files, key=lambda path: int(path.stem))
    return found


def read_folder(folder: Path, options: Options) -> IncomingSet:
    """List the files of a folder, and read their labels.

    Raises:
        InrzooError: a file is damaged, what the values mean is not decided, or an option is wrong.
    """
    files_by_split = files_of(folder)
    files = [path for listed in files_by_split.values() for path in listed]
    if not files:
        raise InrzooError(f"{folder} has no file like train/0.h5")
    names = [str(path.relative_to(folder)) for path in files]
    for path, name in zip(files, names, strict=True):
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InrzooError(f"{name} in {folder} is a link to outside; copy the file there")
    codes = np.array([_label(path) for path in files], dtype=np.int64)
    with Hdf5File(files[0]) as first:
        shape, keys = first.shape("params"), first.names()
    try:
        meaning = _meaning(shape, keys, options)
    except InrzooError as error:
        raise InrzooError(f"{files[0]}: {error}") from None
    convention = _convention(keys, options, files[0])
    inr: INR = registry.make("inrs", meaning.spec)
    split_names = list(files_by_split)

    def read(weights_SNP: NDArray[np.float32], on_file: OnFile) -> str:
        digest = hashlib.sha256()
        on_file(0, len(files))
        for row, path in enumerate(files):
            digest.update(bytes.fromhex(sha256(path)))
            with Hdf5File(path) as opened:
                if opened.shape("params") != (inr.layout.num_params,):
                    shape = [*opened.shape("params")]
                    raise InrzooError(f"{path}: params has shape {shape}, in the first file [{inr.layout.num_params}]")
                params_P = opened.all("params", "f")
            if params_P.dtype != np.float32:
                raise InrzooError(f"{path}: params holds {params_P.dtype}; expected float32")
            weights_SNP[0, row] = params_P  # weight and bias of each layer, as torch's parameters(): our own order
            on_file(row + 1, len(files))
        return digest.hexdigest()

    return IncomingSet(
        source=folder,
        format="HDF5",
        convention=convention,
        meaning=meaning,
        ids=[name.removesuffix(".h5") for name in names],
        keys=names,
        names=names,
        split=np.repeat(np.arange(len(split_names)), [len(each) for each in files_by_split.values()]).astype(np.uint8),
        split_names=split_names,
        labels={"class": codes},
        label_names={"class": [str(code) for code in range(int(codes.max()) + 1)]},
        fits=Fits([0], np.ones((1, len(files)), dtype=bool), len(files)),
        read=read,
    )


def _label(path: Path) -> int:
    with Hdf5File(path) as opened:
        if "params" not in opened.names():
            hint = "; sets of incomplete and complete clouds have two INRs a file: split them first"
            raise InrzooError(f"{path} has no params{hint if 'params_complete' in opened.names() else ''}")
        label = opened.all("class_id", "iu")
    if label.size != 1 or not 0 <= int(label.reshape(-1)[0]) < 2**16:
        raise InrzooError(f"{path}: class_id is no class code")
    return int(label.reshape(-1)[0])


def _convention(keys: set[str], options: Options, first: Path) -> str:
    if options.convention in CONVENTIONS:
        return str(options.convention)
    if "vertices" in keys:
        return "inr2vec_sdf"
    choices = "; ".join(f"--convention {name}: {CONVENTIONS[name]}" for name in ("inr2vec_udf", "inr2vec_occupancy"))
    raise InrzooError(f"{first} has a cloud of points, which two kinds of sets have, choose one of them ({choices})")


def _meaning(shape: tuple[int, ...], keys: set[str], options: Options) -> Meaning:
    hidden = options.inr.get("hidden_features")
    others = {key: value for key, value in options.inr.items() if key != "hidden_features"}
    if len(shape) != 1:
        raise InrzooError(f"params has shape {[*shape]}; expected one vector")
    sizes = sizes_of(shape[0])
    if not sizes:
        raise InrzooError(f"params has {shape[0]} numbers, as no SIREN with {AXES} coordinates and one value has")
    if hidden is not None:
        sizes = [pair for pair in sizes if pair[0] == hidden]
        if not sizes:
            raise InrzooError(f"params has {shape[0]} numbers, as no SIREN with --inr hidden_features={hidden} has")
    if len(sizes) > 1:
        choices = " or ".join(f"hidden_features={width} ({layers + 2} matrices)" for width, layers in sizes[:4])
        raise InrzooError(f"params has {shape[0]} numbers, which fit several SIRENs; pass --inr {choices}")
    spec = {
        "name": "siren",
        "in_features": AXES,
        "out_features": CHANNELS,
        "hidden_features": sizes[0][0],
        "hidden_layers": sizes[0][1],
        "omega_0": OMEGA_0,
        "convention": "sitzmann",
        "bias_inside": True,
        "output_offset": 0.0,
    }
    return meaning_of(
        spec,
        {"spacing": "end_points", "axis_order": "row_col", "extent": 1.0},
        (0.0, 1.0),
        by="convention inr2vec",
        recognised_by="--convention" if options.convention else "the arrays params and vertices",
        options=Options(inr=others, coords=options.coords),
    )


def sizes_of(num_params: int) -> list[tuple[int, int]]:
    """Return (hidden features, hidden layers) of all SIRENs with one to fifteen hidden layers and that many numbers.

    P = 3 H + H + k (H² + H) + H + 1 for H features and k layers between hidden ones.

    Example:
        >>> sizes_of(3 * 512 + 512 + 3 * (512 * 512 + 512) + 512 + 1)
        [(512, 3)]
    """
    found = []
    for layers in range(1, 16):
        # layers H² + (layers + 5) H + 1 − P = 0
        half = layers + AXES + 1 + CHANNELS
        width = round((-half + max(half * half + 4.0 * layers * (num_params - CHANNELS), 0.0) ** 0.5) / (2 * layers))
        if width > 0 and layers * (width * width + width) + (AXES + 1 + CHANNELS) * width + CHANNELS == num_params:
            found.append((width, layers))
    return found
