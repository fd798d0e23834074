"""Writes and parses names of files and folders in the public layouts.

Sources: `dws` AvivNavon/DWSNets experiments/mnist/generate_data_splits.py (glob `mnist_png_*/**/*.pth`, label
`parent.parent.stem.split("_")[-2]`, train where "train" is in the path) and mkofinas/neural-graphs experiments/data.py
(image number `parts[-3].split("_")[-1]`, or the number behind the last `_` of the file name); `nfn` AllanYangZhou/nfn
experiments/data_utils.py (glob `PREFIX_*/*.pth`, `net(\\d+)\\.pth`, `_(\\d)s`) and classify_siren.py (`PREFIX_augI`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from inrzoo.errors import InrzooError
from inrzoo.store import Store

NFN_PREFIX = "randinit_smaller"
"""Name of the sets in nfn's configuration (experiments/classify_siren_configs/dset/*.yaml)."""
SPLITS_SUFFIX = "_splits.json"

_NFN_FOLDER = re.compile(r"(?P<prefix>.+?)(?:_aug(?P<copy>\d+))?_(?P<label>\d+)s")
_NFN_FILE = re.compile(r"net(?P<number>\d+)\.pth")
_RUN_FOLDER = re.compile(r".+_(?P<part>train|test)ing_(?P<label>\d+)_(?P<number>\d+)")
_RUN_COPY = re.compile(r"model_seed(?P<copy>\d+)\.pth")
_NUMBERED = re.compile(r"model_(?P<number>\d+)\.pth")
_PART_ROW = re.compile(r"(?P<part>train|test)/(?P<number>\d+)")


@dataclass(frozen=True)
class ParsedName:
    """The parts of a file name.

    Attributes:
        signal: key that all fits of one signal share.
        copy: number of the fit, 0 if the name has none.
        part: `train` or `test`, the part of the dataset that `number` counts in; None for both together.
        number: number of the image, or None.
        label: class code, or None.
        prefix: name of an nfn set.
    """

    signal: str
    copy: int = 0
    part: str | None = None
    number: int | None = None
    label: int | None = None
    prefix: str | None = None


def parse_name(path: PurePosixPath) -> ParsedName:
    """Parse a file name relative to the folder of the set."""
    folder, file = _NFN_FOLDER.fullmatch(path.parent.name), _NFN_FILE.fullmatch(path.name)
    if folder and file:
        number, label = int(file["number"]), int(folder["label"])
        copy = 0 if folder["copy"] is None else int(folder["copy"]) + 1
        home = path.parent.parent / f"{folder['prefix']}_{label}s"
        return ParsedName(str(home / path.name), copy, None, number, label, folder["prefix"])
    copied = _RUN_COPY.fullmatch(path.name)
    signal = str(path.parent) if copied else str(path)
    copy = int(copied["copy"]) if copied else 0
    run = _RUN_FOLDER.fullmatch(path.parent.parent.name)
    if run and path.parent.name == "checkpoints":
        return ParsedName(signal, copy, run["part"], int(run["number"]), int(run["label"]))
    numbered = _NUMBERED.fullmatch(path.name)
    if numbered:
        part = "test" if path.parent.name == "test" else "train"
        return ParsedName(signal, copy, part, int(numbered["number"]))
    return ParsedName(signal, copy)


def image_number(signal_id: str) -> tuple[str, int] | None:
    """Return part and row of an id PART/ROW, as in our IDX and Hub sources; None for other ids."""
    match = _PART_ROW.fullmatch(signal_id)
    return (match["part"], int(match["number"])) if match else None


def split_key(name: str, names: Sequence[str]) -> str:
    """Return the key of a split in a splits file, where `val` means our `validation`."""
    return "val" if name == "validation" and "val" not in names else name


class Namer:
    """Names the files of an export.

    Args:
        store: the exported store.
        convention: name of the layout.
        several: whether more than one seed is written.

    Raises:
        InrzooError: the layout cannot name the store's dataset, classes or splits.
    """

    def __init__(self, store: Store, convention: str, several: bool) -> None:
        self._nfn, self._several, self._dataset = convention == "nfn", several, store.info.dataset
        self._label = next(iter(store.labels.values()))
        names = list(store.info.split_names)
        if not re.fullmatch(r"[\w-]+", self._dataset):
            raise InrzooError(
                f"the dataset's name {self._dataset!r} is part of file names; it must be letters and digits"
            )
        if self._label.min() < 0 or (self._nfn and self._label.max() > 9):
            raise InrzooError(
                f"{store.path} has class codes {self._label.min()} to {self._label.max()}; the file names of "
                f"{convention} hold {'one digit, 0 to 9' if self._nfn else '0 and above'}"
            )
        if self._nfn and names != [name for name in ("train", "validation", "test") if name in names]:
            raise InrzooError(
                f"{store.path} has the splits {', '.join(names)}; nfn readers cut their numbering into train, "
                "validation and test, in this order"
            )
        # Readers that fetch the image of an INR use the number as its row in the public dataset.
        numbers = [image_number(signal_id) for signal_id in store.signal_ids]
        test = names.index("test") if "test" in names else -1
        self._numbers = [
            (("test" if split == test else "train"), row) if None in numbers else number
            for row, (split, number) in enumerate(zip(store.split, numbers, strict=True))
        ]

    def path(self, row: int, seed: int, rank: int) -> PurePosixPath:
        """Return the path of an INR; `rank` is the position of its seed among the written ones."""
        label = int(self._label[row])
        if self._nfn:
            copy = f"_aug{rank - 1}" if rank else ""
            return PurePosixPath(f"{NFN_PREFIX}{copy}_{label}s") / f"net{row}.pth"
        number = self._numbers[row]
        assert number is not None
        run = f"{self._dataset}_png_{number[0]}ing_{label}_{number[1]}"
        return PurePosixPath(run) / "checkpoints" / (f"model_seed{seed}.pth" if self._several else "model_final.pth")

    @property
    def splits_file(self) -> str:
        """Name of the splits file."""
        return f"{self._dataset}{SPLITS_SUFFIX}"
