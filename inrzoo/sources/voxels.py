"""Occupancy on grids of voxels, from a file of numpy."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import Signals, Source
from inrzoo.sources._arrays import read_numpy
from inrzoo.sources._files import only_file, sha256
from inrzoo.sources._splits import check_counts, stratified_split
from inrzoo.sources._unreadable import UnreadableError

SUFFIXES = (".npz", ".npy")
MAX_BYTES = 8 * 2**30
"""Maximum unpacked size of a file in bytes; it is read into memory. All of ModelNet40 at 64^3 has 3.2 GB."""


@dataclass(frozen=True, kw_only=True)
class Voxels(Source):
    """Grids of voxels of a `.npz` file: `voxels` (N, X, Y, Z), and perhaps `labels` (N,) and `classes`; or of a `.npy`.

    A voxel is occupied if it is not 0, of a type of whole numbers or truth values. The signal is uint8: 255 where it is
    occupied and 0 elsewhere, the ends of the value range. A voxel has a middle, so the manifest should say
    `coords.spacing = "pixel_centres"`. Without `labels` all signals have one class.

    Attributes:
        class_column: name of the label column.
        num_validation: number of signals drawn for validation, evenly over the classes.
        num_test: number of signals drawn for test, evenly over the classes.
        split_seed: seed of the random draw.
    """

    class_column: str = "class"
    num_validation: int = 0
    num_test: int = 0
    split_seed: int = 0

    SOURCE: ClassVar[str] = "voxels"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(
            self.SOURCE, num_validation=self.num_validation, num_test=self.num_test, split_seed=self.split_seed
        )

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` is the file, or a folder that holds one."""
        if path is None:
            raise InrzooError(f"{self.SOURCE} has no download; pass --source PATH, a .npz or .npy file")
        file = only_file(path, SUFFIXES, "files of numpy", ".npz or .npy file", "with voxels (N, X, Y, Z)")
        arrays = _arrays(file)
        voxels_NXYZ = arrays["voxels"]
        names, codes = _classes(file, arrays)

        def values(indices: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
            for index in indices:
                yield index, np.where(_arrays(file)["voxels"][index] != 0, 255, 0).astype(np.uint8)[..., None]

        return Signals(
            grid=voxels_NXYZ.shape[1:],
            channels=1,
            ids=[f"{row:06d}" for row in range(len(voxels_NXYZ))],
            labels={self.class_column: codes},
            label_names={self.class_column: names},
            split=stratified_split(codes, self.num_validation, self.num_test, self.split_seed),
            values=values,
            checksums={file.name: sha256(file)},
        )


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Return the checked arrays of a file; a `.npy` has `voxels` alone."""
    try:
        status = file.stat()
        return _arrays_of(file, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise InrzooError(f"cannot read {file} ({error.strerror})") from error


# A compressed file cannot be read from the middle, so each process holds the last one in memory.
@functools.lru_cache(maxsize=1)
def _arrays_of(file: Path, size: int, modified_ns: int) -> dict[str, NDArray[Any]]:
    if not file.is_file():
        raise InrzooError(f"{file} is not a regular file; --source must name a .npz or .npy file")
    try:
        with file.open("rb") as stream:
            arrays = read_numpy(stream, MAX_BYTES)
    except UnreadableError as error:
        raise InrzooError(f"{file} {error}") from error
    voxels = arrays.get("voxels", arrays.get(""))
    if voxels is None:
        raise InrzooError(f"{file} has no array voxels; it has: {', '.join(arrays) or 'none'}")
    if voxels.ndim != 4 or 0 in voxels.shape or voxels.dtype.kind not in "biu":
        raise InrzooError(
            f"{file} has voxels of shape {voxels.shape} and type {voxels.dtype}; "
            "expected (N, X, Y, Z) whole numbers or truth values"
        )
    return {**arrays, "voxels": voxels}


def _classes(file: Path, arrays: dict[str, NDArray[Any]]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the class names and the code of each signal."""
    count = len(arrays["voxels"])
    labels = arrays.get("labels")
    if labels is None:
        return ["all"], np.zeros(count, dtype=np.int64)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise InrzooError(
            f"{file} has labels of shape {labels.shape} and type {labels.dtype}; expected {count} whole numbers"
        )
    if (names := arrays.get("classes")) is None:
        present, codes = np.unique(labels, return_inverse=True)
        return [str(label) for label in present], codes.astype(np.int64)
    if names.ndim != 1 or names.dtype.kind != "U" or len(set(names.tolist())) != len(names):
        raise InrzooError(f"{file} has classes of shape {names.shape} and type {names.dtype}; expected different names")
    if unnamed := [label for label in (labels.min(), labels.max()) if not 0 <= label < len(names)]:
        raise InrzooError(f"{file} has the label {unnamed[0]}, but classes has {len(names)} names")
    return names.tolist(), labels.astype(np.int64)
