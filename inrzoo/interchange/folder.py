"""What a folder of state dicts holds: files by signal and fit, labels, splits. Read off names and JSON alone.

Shape letters: N signals, S fits of each.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.interchange import sidecar
from inrzoo.interchange.naming import SPLITS_SUFFIX, Place, place, split_key
from inrzoo.interchange.sidecar import Sidecar

THEIR_NAMES = {"val": "validation", "valid": "validation"}
ORDER = ("train", "validation", "test")


@dataclass
class Signal:
    """One signal of the folder.

    Attributes:
        place: what the name of its first file says.
        split: name of its split.
        label: class code.
        files: path by copy, relative to the folder.
    """

    place: Place
    split: str
    label: int
    files: dict[int, PurePosixPath] = field(default_factory=dict)

    @property
    def first(self) -> str:
        """Its first file."""
        return str(self.files[min(self.files)])


@dataclass(frozen=True)
class Listing:
    """A folder's signals, sorted by split.

    Attributes:
        folder: where the files lie.
        signals: N, in the order of their splits and, inside, of the splits file.
        copies: S numbers of fits, ascending.
        split_names: names of the splits.
        sidecar: our own description, where the folder has one.
        splits_file: what said the splits, None where numbers did.
    """

    folder: Path
    signals: list[Signal]
    copies: list[int]
    split_names: list[str]
    sidecar: Sidecar | None
    splits_file: Path | None

    @property
    def split(self) -> NDArray[np.uint8]:
        """Index into `split_names`, N."""
        return np.array([self.split_names.index(signal.split) for signal in self.signals], dtype=np.uint8)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class codes, N."""
        return np.array([signal.label for signal in self.signals], dtype=np.int64)


def read(folder: Path, split_points: Sequence[int] | None = None) -> Listing:
    """List the signals of a folder.

    Args:
        folder: holds one `*splits.json`, or nfn's folders of classes.
        split_points: numbers of the first validation and the first test signal, for nfn's folders without splits file.

    Raises:
        InrzooError: no such folder; no splits, or contradictory ones; a file that they name is not there.
    """
    if not folder.is_dir():
        raise InrzooError(f"no folder {folder}")
    found = sorted(folder.glob(f"*{SPLITS_SUFFIX[1:]}"))
    if len(found) > 1:
        raise InrzooError(f"{folder} has several splits: {', '.join(file.name for file in found)}; leave one there")
    if found and split_points:
        raise InrzooError(f"{found[0]} says the splits; leave --split-points out")
    kept = sidecar.read(folder)
    our_name = {split_key(name, kept.split_names): name for name in kept.split_names} if kept else THEIR_NAMES
    entries = _listed(found[0], our_name) if found else _numbered(folder, split_points)
    signals: dict[str, Signal] = {}
    for path, label, split in entries:
        named = place(path)
        signal = signals.setdefault(named.signal, Signal(named, split, label))
        if (signal.split, signal.label) != (split, label):
            raise InrzooError(
                f"{path} is in {split} with label {label}, another file of that signal in {signal.split} with "
                f"label {signal.label}"
            )
        if named.copy in signal.files:
            raise InrzooError(f"{folder} lists {path} twice")
        signal.files[named.copy] = path
    if not signals:
        raise InrzooError(f"{folder} lists no files")
    names = kept.split_names if kept else _split_names([signal.split for signal in signals.values()])
    if unknown := {signal.split for signal in signals.values()} - {*names}:
        raise InrzooError(f"{folder / sidecar.NAME} does not know the split {sorted(unknown)[0]}")
    ordered = sorted(signals.values(), key=lambda signal: names.index(signal.split))  # stable
    copies = sorted({copy for signal in ordered for copy in signal.files})
    _require_files(folder, ordered)
    return Listing(folder, ordered, copies, names, kept, found[0] if found else None)


def _listed(file: Path, our_name: dict[str, str]) -> Iterator[tuple[PurePosixPath, int, str]]:
    """(path, label, split) of every file that a splits file names, in its order.

    The form is that of DWSNets and neural-graphs: `{"train": {"path": […], "label": […]}, "val": …, "test": …}`.
    """
    try:
        tables: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InrzooError(f"{file} is not valid JSON: {error}") from None
    if not isinstance(tables, dict):
        raise InrzooError(f"{file} holds a {type(tables).__name__}; expected a table of splits")
    for key, table in tables.items():
        lists: list[Any] = [table.get(name) for name in ("path", "label")] if isinstance(table, dict) else []
        if not lists or not all(isinstance(each, list) for each in lists) or len(lists[0]) != len(lists[1]):
            raise InrzooError(f'{file}: {key} is not {{"path": […], "label": […]}} with lists of one length')
        for path, label in zip(*lists, strict=True):
            if not isinstance(path, str) or isinstance(label, bool) or not str(label).isdecimal():
                raise InrzooError(
                    f"{file}: {key} pairs {path!r} with the label {label!r}; expected a path and a class code"
                )
            yield _inside(file.parent, path, file), int(label), str(our_name.get(key, key))


def _inside(folder: Path, path: str, file: Path) -> PurePosixPath:
    """`path` relative to `folder`, as text says; the disk is not asked."""
    pure = PurePosixPath(path)
    home = PurePosixPath(folder.resolve().as_posix())
    if pure.is_absolute() and pure.is_relative_to(home):
        pure = pure.relative_to(home)
    if pure.is_absolute() or ".." in pure.parts:
        raise InrzooError(f"{file} names {path}, outside {folder}; paths must be relative to the folder of the file")
    return pure


def _numbered(folder: Path, split_points: Sequence[int] | None) -> Iterator[tuple[PurePosixPath, int, str]]:
    """(path, label, split) of nfn's folders, by number: their readers cut the numbering at `split_points`."""
    paths = [PurePosixPath(path.relative_to(folder).as_posix()) for path in folder.glob("*_*s/net*.pth")]
    places = [(named, path) for path in paths if (named := place(path)).label is not None]
    if not places:
        raise InrzooError(
            f"{folder} holds neither a *{SPLITS_SUFFIX[1:]} nor folders like randinit_smaller_3s/net17.pth; "
            "name the folder that does"
        )
    prefixes = sorted({str(named.prefix) for named, _ in places})
    if len(prefixes) > 1:
        raise InrzooError(f"{folder} holds several sets: {', '.join(prefixes)}; leave one there")
    if split_points is None or len(split_points) != 2 or not 0 <= split_points[0] <= split_points[1]:
        raise InrzooError(
            f"{folder} has no *{SPLITS_SUFFIX[1:]}; nfn cuts its numbering instead: name the first "
            "validation and the first test signal with --split-points, for its own sets 45000,50000"
        )
    for named, path in sorted(places, key=lambda pair: (pair[0].number or 0, pair[0].copy)):
        number, label = named.number, named.label
        assert number is not None
        assert label is not None
        yield path, label, ORDER[sum(number >= point for point in split_points)]


def _split_names(found: list[str]) -> list[str]:
    """Names in our order where they are ours, else in the order of the file."""
    return list(ORDER) if {*found} <= {*ORDER} else list(dict.fromkeys(found))


def _require_files(folder: Path, signals: list[Signal]) -> None:
    home = folder.resolve()
    for signal in signals:
        for path in signal.files.values():
            if not (folder / path).is_file():
                raise InrzooError(f"the splits name {path}, which is not in {folder}")
            if not (folder / path).resolve().is_relative_to(home):
                raise InrzooError(f"{path} in {folder} is a link to outside; copy the file there")
