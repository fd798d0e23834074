"""Images in the IDX format of MNIST and its relatives: four files, gzipped or plain.

LeCun, Cortes, Burges: The MNIST database of handwritten digits, 1998, gives the format.
"""

from __future__ import annotations

import functools
import gzip
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.sources import SPLITS, Signals, Source
from inrzoo.sources._download import local_or_fetched
from inrzoo.sources._files import sha256
from inrzoo.sources._splits import check_counts, draw_validation
from inrzoo.sources.image_order import ordered_rows

PARTS = {"train": "train", "test": "t10k"}
FILES = {"images": "{}-images-idx3-ubyte", "labels": "{}-labels-idx1-ubyte"}
MAX_BYTES = 2 * 2**30
"""Maximum unpacked size of a file in bytes; it is read into memory. EMNIST, the largest such set, has 0.6 GB."""
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True)
class IdxImages(Source):
    """Grey images from `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the two `t10k-…` files, .gz or not.

    Attributes:
        class_column: name of the label column.
        class_names: names of the codes 0, 1, …; the codes themselves if empty.
        num_validation: number of train signals that become validation, evenly over the classes.
        split_seed: seed of that random draw.
        url: URL of the folder with the four files.
        hashes: names and hashes of the four files.
        order: name of an order that the images are brought to, whatever copy they are read from: a file of
            `manifests/orders`. By default they keep the order of the files.
    """

    class_column: str = "class"
    class_names: list[str] = field(default_factory=list)
    num_validation: int = 5000
    split_seed: int = 0
    url: str | None = None
    hashes: dict[str, str] = field(default_factory=dict)
    order: str | None = None

    def __post_init__(self) -> None:
        check_counts("idx_images", num_validation=self.num_validation, split_seed=self.split_seed)

    def read(self, path: Path | None) -> Signals:
        """See `Source.read`; `path` is the folder with the four files."""
        path = local_or_fetched("idx_images", path, self.url, self.hashes)
        files = {(part, kind): _find(path, name.format(PARTS[part])) for part in PARTS for kind, name in FILES.items()}
        labels = {part: read_idx(files[part, "labels"], 1).astype(np.int64) for part in PARTS}
        images = {part: _images(files[part, "images"]) for part in PARTS}
        grid = images["train"].shape[1:]
        for part in PARTS:
            if len(images[part]) != len(labels[part]):
                raise InrzooError(
                    f"{files[part, 'images'].name} holds {len(images[part])} images and {files[part, 'labels'].name} "
                    f"{len(labels[part])} labels in {path}; they are not from the same set"
                )
            if images[part].shape[1:] != grid:
                raise InrzooError(f"{path} has train images of {grid} and test images of {images[part].shape[1:]}")
        codes = np.concatenate(list(labels.values()))
        if not len(codes):
            raise InrzooError(f"{path} holds no images")
        names = self.class_names or [str(code) for code in range(int(codes.max()) + 1)]
        if codes.max() >= len(names):
            raise InrzooError(f"{path} has the label {codes.max()}, but idx_images.class_names has {len(names)} names")
        rows = {part: self._rows(part, images[part], labels[part]) for part in PARTS}
        codes = np.concatenate([labels[part][rows[part]] for part in PARTS])
        counts = [len(labels[part]) for part in PARTS]
        split = np.repeat(np.array([SPLITS.index(part) for part in PARTS], np.uint8), counts)

        def values(indices: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
            for index in indices:
                part, row = ("train", index) if index < counts[0] else ("test", index - counts[0])
                yield index, _images(files[part, "images"])[rows[part][row]][..., None]

        return Signals(
            grid=grid,
            channels=1,
            ids=[f"{part}/{row:05d}" for part in PARTS for row in range(len(labels[part]))],
            labels={self.class_column: codes},
            label_names={self.class_column: list(names)},
            split=draw_validation(split, codes, self.num_validation, self.split_seed),
            values=values,
            checksums={file.name: sha256(file) for file in files.values()},
        )

    def _rows(self, part: str, images: NDArray[np.uint8], codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row in the files of each image of a part."""
        if self.order is None:
            return np.arange(len(codes))
        pairs = ((int(code), image.tobytes()) for code, image in zip(codes, images, strict=True))
        return ordered_rows("source.order", self.order, part, pairs)


def _find(folder: Path, name: str) -> Path:
    """Return the path of the file `name`, gzipped or not."""
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    raise InrzooError(
        f"no {name} or {name}.gz in {folder}; --source must name the folder that holds the four IDX files"
    )


# A gzipped file cannot be read from the middle, so each process holds the last two in memory (MNIST: 55 MB).
@functools.lru_cache(maxsize=2)
def _images_of(file: Path, size: int, modified_ns: int) -> NDArray[np.uint8]:
    return read_idx(file, 3)


def _images(file: Path) -> NDArray[np.uint8]:
    status = file.stat()
    return _images_of(file, status.st_size, status.st_mtime_ns)


def read_idx(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file of bytes with `dimensions` dimensions.

    Raises:
        InrzooError: the file is of another kind, damaged, or of another length than its header says.
    """
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, 8, dimensions])  # two zeros, unsigned bytes, number of dimensions
    try:
        with file.open("rb") as raw:
            zipped = raw.read(2) == GZIP_MAGIC
        with gzip.open(file) if zipped else file.open("rb") as stream:
            begin = stream.read(header)
            if begin[:4] != magic or len(begin) < header:
                raise InrzooError(
                    f"{file} begins with {begin[:4].hex()}, not {magic.hex()}: not an IDX file of this kind"
                )
            shape = struct.unpack(f">{dimensions}I", begin[4:])
            declared = math.prod(shape)
            if declared > MAX_BYTES:
                raise InrzooError(f"{file} declares {declared} bytes; the maximum is {MAX_BYTES}")
            content = stream.read(declared + 1)  # a decompression bomb is not unpacked further
    except (OSError, EOFError, zlib.error) as error:
        raise InrzooError(f"{file} is damaged ({error}); fetch it again") from error
    if len(content) != declared:
        held = f"{len(content)} or more" if len(content) > declared else len(content)
        raise InrzooError(f"{file} declares {' x '.join(map(str, shape))} bytes and holds {held}")
    return np.frombuffer(content, np.uint8).reshape(shape)
